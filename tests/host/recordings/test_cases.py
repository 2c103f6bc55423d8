"""Small files in the layouts of public tools, cameras and data sets: each gives the answer that is right."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.open import open_source
from feast_codegen.host.recordings.readers import open_recording
from feast_codegen.host.recordings.reading import LeftOut, Reading
from tests.conftest import data_folder

D346, GEN3 = Sensor(346, 260), Sensor(304, 240)


def all_cases() -> Path:
    """FEAST_CASES, or `cases` beside the real recordings."""
    return Path(os.environ.get("FEAST_CASES") or data_folder().parent / "cases")


def case_folder() -> Path:
    """Where the single files are."""
    return all_cases() / "files"


@dataclass
class Case:
    """What reading a file gives."""

    file: str
    count: int = 0
    """Events, 0 where the file is refused."""
    refused: str = ""
    says: str = ""
    """What is noted."""
    first_us: int | None = None
    last_us: int | None = None
    reading: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join([self.file, *(f"{key}={value}" for key, value in self.reading.items())])


def case(
    file: str, count: int = 0, /, *, refused: str = "", says: str = "", us: Any = (), **reading: Any
) -> Case:
    first, last = us or (None, None)
    if not file.endswith((".raw", ".aedat", ".aedat4")) and "ecf" not in file:
        reading.setdefault("sensor", GEN3 if "undistorted" not in file else Sensor(240, 180))
    return Case(file, count, refused, says, first, last, reading)


UNIT, ORDER, CUT = "--time-unit s, ms, us or ns", "--columns says their order", "--accept-truncated"
CASES = [
    case(
        "v2e_346x260.aedat",
        refused=r"no camera; --sensor must choose .*346x260 .*240x180 .*640x480 .*128x128",
    ),
    case("v2e_346x260.aedat", refused="has bits that none of a DVS128 has", sensor=Sensor(128, 128)),
    case("v2e_346x260.aedat", 2000, us=(0, 499_750), sensor=D346),
    case("jaer_dvs1280x720sd.aedat", refused="DVS1280x720SD, whose layout of addresses is unknown"),
    case("jaer_dvs1280x720sd.aedat", refused="DVS1280x720SD", sensor=Sensor(128, 128)),
    case(
        "dhp19_like.aedat", 263, says=r"of 4 cameras \(0, 1, 2, 3\) the first, 0, is read; --stream chooses"
    ),
    case("dhp19_like.aedat", 248, stream="3"),
    case("aedat31_two.aedat", 500, says=r"of 2 sources \(1, 2\) the first, 1, is read; --stream chooses"),
    case("aedat31_two.aedat", 500, us=(54_137, 499_512), stream="2"),
    case("ns_int.csv", refused=f"after the year 2100; {UNIT}"),
    case("ns_int.csv", 1000, us=(1_600_000_000_001_028, 1_600_000_000_499_512), time_unit="ns"),
    case("savetxt_us_int.txt", 1000, us=(1148, 999_803)),
    case("t_us_float.npz", refused=f"events/s, less than 10; {UNIT}"),
    case("t_us_float.npz", 1000, us=(1028, 499_512), time_unit="us"),
    case("t_us.csv", 1000, us=(1028, 499_512)),
    case("glitch.csv", 1000, us=(1028, 499_512)),
    case("reset.csv", 20_000, us=(16, 249_454)),
    case("jitter.csv", 20_000, us=(16, 499_927)),
    case("missing_mid2.csv", 500, us=(100, 25_050)),
    case("undistorted.txt", refused="x and y are pixels and must be whole"),
    case("evt3_code9.raw", 1000, says="1 words left out: of no type that EVT3 defines", us=(0, 49_950)),
    case("evt2_codeD.raw", 1000, says="1 words left out: of no type that EVT2 defines", us=(0, 49_950)),
    case("evt21_legacy_noendian.raw", 2000, us=(0, 49_950)),
    case("mvsec_like.hdf5", 1000, says="--stream chooses", us=(1_500_000_000_001_028, 1_500_000_000_499_512)),
    case("mvsec_like.hdf5", 1000, stream="right"),
    case("v2e_events.h5", 2000, us=(0, 499_766), sensor=D346),
    case("n4_float.npy", refused=ORDER),
    case("n4_float.npy", 1000, us=(1028, 499_512), columns="txyp"),
    case("bom.csv", 1000, us=(1028, 499_512)),
    case("quoted.csv", 500, us=(100, 25_050)),
    case("p_float.csv", 1000, us=(1028, 499_512)),
    case("prophesee.csv", refused=ORDER),
    case("prophesee.csv", 1000, us=(1028, 499_512), columns="xypt"),
    case("psee_ecf.hdf5", refused=r"CD/events.*Prophesee's ECF codec .*HDF5_PLUGIN_PATH"),
    case("neg_t.csv", 1000),
    case("dv_LZ4_cut.aedat4", refused=f"damaged or truncated after event 5000: .*{CUT}"),
    case("dv_LZ4_cut.aedat4", 5000, says="7485 bytes left out", accept_truncated=True),
    case("two_cams.h5", 1000, says=r"\(prophesee/left, prophesee/right\) the first, prophesee/left, is read"),
    case("two_cams.h5", 900, stream="right"),
    case("sci_first.txt", 1001, us=(1, 499_512)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_case(case: Case) -> None:
    path = case_folder() / case.file
    if not path.is_file():
        pytest.skip(f"no {path}; set FEAST_CASES to the folder that holds files/")
    left_out = LeftOut()

    def read() -> Any:
        return open_recording(path, reading=Reading(**case.reading), left_out=left_out).read()

    if case.refused:
        with pytest.raises(FeastError, match=case.refused):
            read()
        return
    events = read()
    assert events.size == case.count
    if case.last_us is not None:
        assert (int(events["t_us"][0]), int(events["t_us"][-1])) == (case.first_us, case.last_us)
    lines = "\n".join(left_out.lines())
    assert re.search(case.says, lines) if case.says else not lines


def test_every_file_has_a_case() -> None:
    if not case_folder().is_dir():
        pytest.skip(f"no {case_folder()}; set FEAST_CASES to the folder that holds files/")
    assert {path.name for path in case_folder().iterdir()} == {each.file for each in CASES}


def test_columns_are_found_behind_an_empty_one() -> None:
    path = case_folder() / "missing_mid2.csv"
    if not path.is_file():
        pytest.skip(f"no {path}; set FEAST_CASES to the folder that holds files/")
    events = open_recording(path, GEN3).read()
    assert (int(events["y"].min()), int(events["y"].max())) == (0, 179)


@dataclass
class FolderCase:
    """What opening a folder gives."""

    folder: str
    names: tuple[str, ...]
    labels: tuple[int | str, ...]
    sensor: Sensor
    says: tuple[str, ...]

    def __str__(self) -> str:
        return self.folder


FOLDERS = [
    FolderCase(
        "gesture_folder",
        (
            "user01_fluorescent.aedat[1000-250000us]",
            "user01_fluorescent.aedat[260000-400000us]",
        ),
        ("hand_clapping", "2"),
        Sensor(128, 128),
        (
            "*_labels.csv cuts recordings into 2 segments; what lies outside is left out",
            "gesture_mapping.csv does not name the classes 2: they keep theirs",
        ),
    ),
    FolderCase(
        "apple_folder",
        ("0/00002.bin", "0/00022.bin", "1/00004.bin", "1/00007.bin"),
        (0, 0, 1, 1),
        Sensor(34, 34),
        ("2 files left out: hidden (._*, .DS_Store, __MACOSX)",),
    ),
    FolderCase(
        "sizes_folder",
        ("0/a.dat", "1/a.dat"),
        (0, 1),
        Sensor(120, 100),
        ("recordings of 2 sizes, 90x80 to 120x100 pixels, are padded to 120x100 at the right and below",),
    ),
]


@pytest.mark.parametrize("case", FOLDERS, ids=str)
def test_a_folder(case: FolderCase) -> None:
    folder = all_cases() / case.folder
    if not folder.is_dir():
        pytest.skip(f"no {folder}; set FEAST_CASES to the folder that holds {case.folder}/")
    source = open_source(str(folder))
    assert (source.names, source.labels, source.sensor) == (case.names, case.labels, case.sensor)
    assert all(stream.events.size for stream in source)
    assert tuple(source.left_out.lines()) == case.says


def test_every_folder_has_a_case() -> None:
    if not all_cases().is_dir():
        pytest.skip(f"no {all_cases()}; set FEAST_CASES to the folder that holds files/")
    folders = {path.name for path in all_cases().iterdir() if path.is_dir()}
    assert folders == {"files", *(each.folder for each in FOLDERS)}
