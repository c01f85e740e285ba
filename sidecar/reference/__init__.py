"""Reference profiles: what live traffic is compared with.

`build` makes one from arrays or a data frame, `files.build` from data files of any size, `learn` from live events.
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
