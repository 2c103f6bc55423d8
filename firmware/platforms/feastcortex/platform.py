"""PlatformIO's view of the platform. Its Python may have the standard library and platformio only."""

import shutil

from platformio.platform.base import PlatformBase

TOOLCHAIN = "toolchain-gccarmnoneeabi"


class FeastcortexPlatform(PlatformBase):
    """Uses the cross compiler on PATH; without one, PlatformIO installs its own from the registry."""

    def configure_default_packages(self, options, targets):
        self.packages[TOOLCHAIN]["optional"] = shutil.which("arm-none-eabi-gcc") is not None
        return super().configure_default_packages(options, targets)

    def get_installed_packages(self, *args, **kwargs):
        # What is returned here goes before PATH: not a registry toolchain that this build does not need.
        packages = super().get_installed_packages(*args, **kwargs)
        if self.packages[TOOLCHAIN].get("optional"):
            packages = [package for package in packages if package.metadata.name != TOOLCHAIN]
        return packages
