"""State that survives a crash: a checkpoint of everything, and a journal of what came after it.

1. `clock`       a clock that goes on where it was, over restarts and reboots
2. `journal`     records of what changed the state, in segments that are only appended to
3. `checkpoint`  the whole state in one file, replaced in one step
4. `directory`   the files, whose they are, and which of them are set aside
5. `recovery`    checkpoint and journal to the monitor that wrote them
6. `recorder`    what the monitor tells, as records of the journal
7. `store`       when to write what, and what to do while nothing can be written
"""
