"""Reference profiles: what live traffic is compared with.

`build` makes one from arrays or a data frame, `files.build` from data files of any size, `tables.build`
inside Spark or a warehouse, `learn` from live events. `summary` and `merge` are for data on many machines.
"""

from sidecar.reference.build import build
from sidecar.reference.profile import (
    CategoricalProfile,
    FeatureProfile,
    NumericProfile,
    Profile,
    ProfileError,
    Role,
    load,
    save,
)

__all__ = [
    "CategoricalProfile",
    "FeatureProfile",
    "NumericProfile",
    "Profile",
    "ProfileError",
    "Role",
    "build",
    "load",
    "save",
]
