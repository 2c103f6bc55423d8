"""Compiles the runtime for one board and links it with src/ and the emitted library (an SCons script).

Everything board-specific comes from the board's JSON file, rendered by
`python -m feast_codegen.host.boards.platformio_files`
from boards.yaml.
"""

import os
import sys
import time
from pathlib import Path

from SCons.Script import AlwaysBuild, Default, DefaultEnvironment

env = DefaultEnvironment()
platform_dir = Path(env.PioPlatform().get_dir())
runtime_dir = platform_dir / "runtime"
project_dir = Path(env.subst("$PROJECT_DIR"))
generated_dir = Path(env.subst("$BUILD_DIR")) / "generated"
board = env.BoardConfig().get("feast")

library = Path(env.GetProjectConfig().get("platformio", "lib_dir")) / "feast"
if not (library / "library.json").is_file():
    emit = f"codegen emit MODEL.npz --board {env['PIOENV']}"
    sys.stderr.write(f"Error: {library} holds no emitted library: run `{emit}` first\n")
    env.Exit(1)


def wait_for_the_project(limit_s):
    """Hold the lock of codegen until this process ends, so that a build beside another one waits for it."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    path = project_dir / ".pio" / "codegen.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+b")
    limit = time.monotonic() + limit_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except OSError:
            if time.monotonic() > limit:
                sys.stderr.write(f"Error: another build in {project_dir} did not end in {limit_s} s\n")
                env.Exit(1)
            time.sleep(0.05)


# codegen holds the lock already when it runs PlatformIO.
project_lock = None if os.environ.get("FEAST_PROJECT_LOCKED") else wait_for_the_project(900)


def write_if_changed(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


write_if_changed(
    generated_dir / "board.h",
    "".join(f"#define {name} {value}\n" for name, value in board["header"].items()),
)

env.Replace(
    AR="arm-none-eabi-gcc-ar",
    AS="arm-none-eabi-gcc",
    CC="arm-none-eabi-gcc",
    CXX="arm-none-eabi-g++",
    LINK="arm-none-eabi-gcc",
    RANLIB="arm-none-eabi-gcc-ranlib",
    OBJCOPY="arm-none-eabi-objcopy",
    SIZETOOL="arm-none-eabi-size",
    # PlatformIO compares the sums with the limits of the board after each build.
    SIZECHECKCMD="$SIZETOOL -A -d $SOURCES",
    SIZEPROGREGEXP=r"^(?:\.text|\.data)\s+(\d+).*",
    SIZEDATAREGEXP=r"^(?:\.stack|\.data|\.bss|\.noinit)\s+(\d+).*",
    ARFLAGS=["rcD"],
    PROGNAME="firmware",
    PROGSUFFIX=".elf",
)

machine_flags = ["-mthumb", *board["machine_flags"]]
env.Append(
    CFLAGS=["-std=c11", "-Wstrict-prototypes", "-Wmissing-prototypes"],
    CCFLAGS=[
        *machine_flags,
        "-O2",
        "-g",
        "-ffunction-sections",
        "-fdata-sections",
        "-fno-common",
        "-Wall",
        "-Wextra",
        "-Wundef",
        "-Wshadow",
        "-Wconversion",
        "-Werror",
        # No path of this machine in the ELF: the same sources give the same bytes anywhere.
        f"-ffile-prefix-map={project_dir}=firmware",
        f"-ffile-prefix-map={project_dir.resolve()}=firmware",
        f"-ffile-prefix-map={platform_dir}=firmware/platforms/{platform_dir.name}",
    ],
    CPPPATH=[str(runtime_dir), "$PROJECT_SRC_DIR", str(generated_dir)],
    LINKFLAGS=[
        *machine_flags,
        "-nostartfiles",
        "-nodefaultlibs",
        "-Wl,--gc-sections",
        "-Wl,--build-id=none",
        "-Wl,--fatal-warnings",
        # Substituted here: SCons would split a folder's name at its spaces.
        f"-Wl,-Map,{env.subst('$BUILD_DIR')}/firmware.map",
        *(f"-Wl,--defsym={symbol}={value}" for symbol, value in board["symbols"].items()),
    ],
    # memcpy and memset, and 64-bit arithmetic.
    LIBS=["c", "gcc"],
)
env.Replace(LDSCRIPT_PATH=str(runtime_dir / "link.ld"))

# A driver of the user's own, a folder of C files, takes the place of the link and of the UART.
driver = os.environ.get("FEAST_DRIVER") or env.GetProjectOption("custom_driver", "")
if driver:
    driver_dir = Path(driver).resolve()
    sources = [*board["sources"], "driver/event_queue.c", "driver/main.c"]
    env.Append(
        CPPDEFINES=["FEAST_DRIVER"],
        CPPPATH=[str(runtime_dir / "driver"), str(driver_dir), str(library / "include")],
        CCFLAGS=[f"-ffile-prefix-map={driver_dir}=driver"],
    )
    env.Replace(SRC_FILTER=["-<*>"])
    # PlatformIO looks in the project's own sources only for the libraries it needs: name them here.
    env.BuildSources("$BUILD_DIR/driver", str(driver_dir), "+<*.c>")
    env.BuildSources("$BUILD_DIR/feast", str(library / "src"), "+<*.c>")
else:
    sources = [*board["sources"], *board["link_sources"]]
    env.Append(CPPDEFINES=list(board["link_defines"].items()))
if (library / "include" / "feast.h").is_file():
    sources.append("identity.c")
    env.AppendUnique(CPPPATH=[str(library / "include")])
env.BuildSources("$BUILD_DIR/runtime", str(runtime_dir), " ".join(f"+<{name}>" for name in sources))

firmware = env.BuildProgram()
AlwaysBuild(env.Alias("nobuild", firmware))
AlwaysBuild(env.Alias("size", firmware, env.VerboseAction("$SIZETOOL $SOURCE", "Size of $SOURCE")))
Default(firmware)
