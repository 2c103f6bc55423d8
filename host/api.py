"""The functions of the public API: what the commands do, for programs. Import them from `feast_codegen`.

Each calls the stages that its command calls. Where a model is taken, the path of a model file will do; where
recordings are taken, a source, the string that names one, or a sequence of recordings in memory. Errors are
FeastError, in one line; a package of an extra that is not installed is MissingExtraError, an ImportError too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from feast_codegen.codegen.base.extras import naming_extras
from feast_codegen.codegen.model.model import Arithmetic, Border, Hyperparameters, Model, Polarity
from feast_codegen.codegen.model.options import Options
from feast_codegen.host.progress import Progress, silent, tracked

if TYPE_CHECKING:
    from feast_codegen.codegen.boards.board import Board
    from feast_codegen.codegen.emit.write import Emission
    from feast_codegen.codegen.fixed_point.quantise import QuantModel, QuantReport
    from feast_codegen.codegen.model.filters import Filters
    from feast_codegen.host.boards.build import BuildResult
    from feast_codegen.host.boards.run import DeviceRun
    from feast_codegen.host.link.link import Link
    from feast_codegen.host.recordings.event_columns import Unit
    from feast_codegen.host.recordings.in_memory import Columns, SensorLike
    from feast_codegen.host.recordings.reading import Reading
    from feast_codegen.host.recordings.source import Source
    from feast_codegen.host.verify import VerifyReport

Recordings = Any
"""A Source, a string or Path as `open_recordings` takes it, or a sequence of recordings in memory."""

_DEFAULTS: Final = Hyperparameters()
_OPTIONS: Final = Options()


@naming_extras("open_recordings")
def open_recordings(
    recordings: Recordings,
    *,
    sensor: SensorLike | None = None,
    labels: Sequence[int | str | None] | None = None,
    unit: Unit | None = None,
    columns: Columns | None = None,
    skip_bad_events: bool = False,
    reading: Reading | None = None,
) -> Source:
    """Open recordings: a file, a folder, a data set, simulated ones, or those of a sequence in memory.

    recordings: a string or Path as the commands take it (recordings.md), or a sequence of recordings in
    memory, each in a form that `events_from` takes or a pair of such a form and its label, as tonic's data
    sets give them.
    sensor: a Sensor, (width, height) or "WxH"; needed where the recordings do not carry it.
    labels: a label for each recording in memory, all whole numbers from 0 or all names.
    unit, columns: of recordings in memory, as for `events_from`.
    skip_bad_events: leave out and count events outside the sensor or back in time, instead of refusing the
    file.
    reading: all else that files may need (Reading).

    Returns a Source, which has a length and yields an EventStream for each recording, read only then. Raises
    FeastError if there are no recordings, or for a file that is foreign or truncated.

    >>> bars = feast_codegen.open_recordings("sim:bars?count=4")
    >>> len(bars), str(bars.sensor), bars.labels
    (4, '34x34', (0, 1, 2, 3))
    >>> mine = [([0, 500, 900], [3, 4, 5], [7, 7, 7], [1, 0, 1])]
    >>> [stream.events.size for stream in feast_codegen.open_recordings(mine, sensor=(34, 34))]
    [3]
    """
    from feast_codegen.codegen.base.errors import FeastError
    from feast_codegen.host.recordings.in_memory import sensor_from, source_from, streams_from
    from feast_codegen.host.recordings.open import open_source
    from feast_codegen.host.recordings.reading import Reading

    if isinstance(recordings, str | Path):
        if (labels, unit, columns) != (None, None, None):
            raise FeastError(f"{recordings}: labels, unit and columns are for recordings in memory")
        size = sensor_from(sensor)
        return open_source(str(recordings), size, skip_bad_events, reading=reading or Reading())
    if skip_bad_events or reading is not None:
        raise FeastError("skip_bad_events and reading are for files, not for recordings in memory")
    return source_from(streams_from(recordings, sensor=sensor, labels=labels, unit=unit, columns=columns))


@naming_extras("train")
def train(
    recordings: Recordings,
    *,
    sensor: SensorLike | None = None,
    features: int = _DEFAULTS.features,
    radius: int = _DEFAULTS.radius,
    tau_us: float = _DEFAULTS.tau_us,
    eta: float = _DEFAULTS.eta,
    delta_i: float = _DEFAULTS.delta_i,
    delta_e: float = _DEFAULTS.delta_e,
    polarity: Polarity = _DEFAULTS.polarity,
    border: Border = _DEFAULTS.border,
    epochs: int = 1,
    seed: int = 0,
    until_converged: bool = False,
    arithmetic: Arithmetic = "float",
    lower: Model | str | Path | None = None,
    filters: Filters | None = None,
    readout: bool = False,
    readout_grid: int | None = None,
    progress: Progress = silent,
) -> Model:
    """Learn features from recordings, without labels.

    recordings: a Source, or what `open_recordings` takes; in memory, `sensor` is needed. Of a source with the
    splits train and test, the first is learned from.
    sensor: as for `open_recordings`.
    features: features per bank; polarity "separate" has two banks, else there is one. 1 to 4096.
    radius: of the square patch around an event, whose side is 2 * radius + 1 pixels. 1 to 15.
    tau_us: decay constant of the time surface, microseconds.
    eta: learning rate of the winning feature.
    delta_i: rise of the winner's selection threshold.
    delta_e: fall of all thresholds of the bank on an event that no feature takes.
    polarity: "merged", one time surface for both; "separate", one for each; "signed", one with signs.
    border: "zero", pixels outside the sensor read 0; "skip", events with such pixels are left out.
    epochs: passes over the recordings; with until_converged the most.
    seed: of the first weights and of the order of recordings.
    until_converged: stop once miss rate and thresholds no longer change.
    arithmetic: "float", or "fixed" to learn in integers as the device does.
    lower: learn a second layer on the winners of this model, which keeps its features.
    filters: what the network does not see of the camera's events (Filters).
    readout: fit class scores to the labels afterwards, which the device then keeps.
    readout_grid: cells a side of the readout [7].
    progress: called with (done, total) recordings.

    Returns the model; `model.training.miss_rate` is that of the last quarter. Raises FeastError for a value
    out of its range, for a bad recording, and if no event could be learned from.

    >>> model = feast_codegen.train("sim:bars?count=4", features=4, radius=1, tau_us=10_000)
    >>> model.weights.shape, model.training.recordings
    ((4, 9), 4)
    """
    from feast_codegen.codegen.base.errors import FeastError
    from feast_codegen.host.evaluation.fit_readout import GRID
    from feast_codegen.host.evaluation.train_model import check_training, train_model

    rates = (float(tau_us), float(eta), float(delta_i), float(delta_e))
    params = Hyperparameters(features, radius, *rates, polarity, border)
    below = None if lower is None else _model(lower)
    check_training(params, below, filters is not None)
    if readout_grid is not None and not readout:
        raise FeastError("readout_grid belongs to readout=True: give both")
    return train_model(
        _source(recordings, below.camera if below and sensor is None else sensor),
        params,
        lambda part: nullcontext(progress),
        epochs=epochs,
        seed=seed,
        until_converged=until_converged,
        arithmetic=arithmetic,
        lower=below,
        filters=filters,
        readout_grid=None if not readout else GRID if readout_grid is None else readout_grid,
    ).model


def load_model(path: str | Path) -> Model:
    """Read a model file (.npz) and check it in full.

    Raises FeastError if it is missing, is no model file, has a field out of range, or does not match its own
    checksum. Nothing in it is executed.

    >>> model = feast_codegen.load_model("model.npz")
    >>> model.params.features, str(model.sensor)
    (4, '34x34')
    """
    from feast_codegen.codegen.model.file import load_model as load

    return load(Path(path))


def save_model(model: Model, path: str | Path) -> None:
    """Write a model file; one that is there is replaced in one step or not at all.

    Raises FeastError if the folder cannot be written.

    >>> feast_codegen.save_model(model, "model.npz")
    """
    from feast_codegen.codegen.model.file import save_model as save

    save(model, Path(path))


def quantise(model: Model | str | Path) -> tuple[QuantModel, QuantReport]:
    """Round a model to the integers that the emitted C computes with (docs/reference/numerics.md).

    Returns them, and what the rounding cost against the float model; with two layers, of the upper one.
    Raises FeastError for a decay constant or a readout that the number formats cannot express.

    >>> quant, report = feast_codegen.quantise(model)
    >>> quant.weights.dtype, report.weight_error < 1e-4
    (dtype('int16'), True)
    """
    from feast_codegen.codegen.fixed_point.quantise import quantise as round_model

    return round_model(_model(model))


@naming_extras("verify")
def verify(
    model: Model | str | Path,
    recordings: Recordings,
    *,
    board: Board | str | None = None,
    options: Options = _OPTIONS,
    progress: Progress = silent,
) -> VerifyReport:
    """Prove the emitted C equal to the integer model, in every result and all state, frozen and learning.

    Compiles the library with the C compiler of this computer, and steps both over every event of the
    recordings and of a stress stream, which is made for the network and reaches what recordings do not.

    recordings: a Source, or what `open_recordings` takes; of the model's sensor.
    board: compile the code as emitted for it, else portable C.
    options: of emission. Both modes of learning are run.
    progress: called with (done, total) recordings.

    Returns a report: `mismatches` and `stress_mismatches` are 0 if nothing differs in the recordings and in
    the stress stream, else `modes` names the first difference; `agreement` compares with the float model.
    Raises FeastError for recordings of another sensor, or if there is no C compiler.

    >>> report = feast_codegen.verify(model, "sim:bars?seed=1&count=2")
    >>> report.mismatches, report.stress_mismatches, report.agreement.fraction > 0.9
    (0, 0, True)
    """
    from feast_codegen.host.verify import verify as compare

    network = _model(model)
    source = _source(recordings, network.camera).for_library(network, options)
    target = None if board is None else _board(board)
    return compare(network, tracked(source, progress), options, target.kernel if target else "portable")


def emit(
    model: Model | str | Path,
    folder: str | Path,
    *,
    board: Board | str | None,
    options: Options = _OPTIONS,
) -> Emission:
    """Write a model as a self-contained C library.

    folder: new, empty, or an earlier emission, which is brought up to date; anything else is refused.
    board: its name (`boards`), which sets the kernel and the limits of memory; None for portable C without
    limits.
    options: learning on the device, selection, width of weights, readout, filters (Options).

    Returns which files were written, unchanged and removed. Raises FeastError if the model does not fit the
    board (the line says what would), or if the folder holds anything else.

    >>> emission = feast_codegen.emit(model, "feast", board="mps2_an386")
    >>> "include/feast.h" in emission.written
    True
    >>> learning = feast_codegen.Options(learning=True)
    >>> emission = feast_codegen.emit("model.npz", "learner", board=None, options=learning)
    >>> "src/feast_layer1_learn.c" in emission.written
    True
    """
    from feast_codegen.host.boards.emit_library import emit_library

    target = None if board is None else _board(board)
    return emit_library(_model(model), target, options, Path(folder))[1]


@naming_extras("build")
def build(
    model: Model | str | Path | None,
    *,
    board: Board | str,
    options: Options = _OPTIONS,
    project: str | Path | None = None,
    driver: str | Path | None = None,
) -> BuildResult:
    """Build the firmware of a board with PlatformIO.

    model: emitted into the project first; None: build what is there.
    board: its name (`boards`).
    options: of emission (Options).
    project: folder of the firmware project, laid out where there is none [firmware].
    driver: folder of C files that feed events, instead of the serial link (boards.md).

    Returns the path of the ELF file and what it takes of flash, RAM and stack, in bytes. Needs the extra
    `firmware` and the compiler arm-none-eabi-gcc. Raises FeastError if a tool is missing, the model does
    not fit or the build fails.

    >>> built = feast_codegen.build(model, board="mps2_an386")
    >>> built.elf.name, built.flash_bytes < 65_536
    ('firmware.elf', True)
    """
    from feast_codegen.host.boards.build import build as build_firmware
    from feast_codegen.host.boards.run import build_for_board

    target, place, files = _board(board), _project(project), None if driver is None else Path(driver)
    if model is None:
        return build_firmware(target, place, files)
    return build_for_board(_model(model), target, options, place, files)[1]


@naming_extras("run_on_board")
def run_on_board(
    model: Model | str | Path,
    recordings: Recordings,
    *,
    board: Board | str,
    options: Options = _OPTIONS,
    project: str | Path | None = None,
    progress: Progress = silent,
) -> DeviceRun:
    """Run recordings on an emulated board and compare every result with the integer model.

    Emits and builds the model, starts the board's QEMU machine, and streams every event over its serial port.

    recordings: a Source, or what `open_recordings` takes; of the model's sensor.
    board: its name (`boards`).
    options: of emission (Options).
    project: folder of the firmware project, laid out where there is none [firmware].
    progress: called with (done, total) recordings.

    Returns a report: `difference` is None if all results and the final states are equal;
    `instructions_per_event` is exact, but they are not cycles. Needs the extra `firmware`,
    arm-none-eabi-gcc and qemu-system-arm. Raises FeastError if the board has no emulator, a tool is
    missing, the model does not fit or the link fails.

    >>> run = feast_codegen.run_on_board(model, "sim:bars?seed=1&count=1", board="mps2_an386")
    >>> print(run.difference)
    None
    >>> run.device_digest == run.twin_digest
    True
    """
    from feast_codegen.host.boards.run import run_on_board as run

    network = _model(model)
    source = _source(recordings, network.camera)
    return run(network, _board(board), source, options, project_dir=_project(project), progress=progress)


@contextmanager
def open_link(
    port: str,
    *,
    model: Model | str | Path | None = None,
    options: Options = _OPTIONS,
    baud: int | None = None,
    project: str | Path | None = None,
) -> Iterator[Link]:
    """Open the serial link to a device, for a `with` block.

    port: a port by its name (/dev/ttyACM0, COM3), a URL of pyserial, or ``qemu:BOARD`` for an emulated board,
    which runs until the block ends: with the firmware that was last built in `project`, or with that of
    `model`, which is built first.
    model: refuse a device that was not built from this model with these options.
    options: of emission (Options).
    baud: bits per second of a serial port [115200].
    project: folder of the firmware project [firmware].

    Yields a Link: `hello` says what the device is, `run(events)` gives the result of each event. Needs the
    extra `link`, for ``qemu:`` the extra `firmware`. Raises FeastError if the port cannot be opened, nothing
    answers, or the device is another.

    >>> events = feast_codegen.open_recordings("sim:bars?count=1").load(0).events
    >>> with feast_codegen.open_link("qemu:mps2_an386", model=model) as link:
    ...     result = link.run(events)
    >>> result.results.shape == events.shape
    True
    """
    with ExitStack() as stack:
        with naming_extras("open_link"):
            from feast_codegen.host.boards.connect import device_at
            from feast_codegen.host.link.link import DEFAULT_BAUD

            connect = stack.enter_context(
                device_at(
                    port,
                    model=None if model is None else _model(model),
                    options=options,
                    baud=DEFAULT_BAUD if baud is None else baud,
                    project_dir=_project(project),
                )
            )
            link = stack.enter_context(connect())
        yield link


def boards() -> dict[str, Board]:
    """The boards that firmware can be built for, by name: core, clock, memory, emulator.

    >>> board = feast_codegen.boards()["mps2_an386"]
    >>> board.core, board.qemu is not None
    ('cortex-m4', True)
    """
    from feast_codegen.codegen.boards.board import load_boards

    return dict(load_boards())


def _model(model: Model | str | Path) -> Model:
    return model if isinstance(model, Model) else load_model(model)


def _board(board: Board | str) -> Board:
    from feast_codegen.codegen.boards.board import get_board

    return get_board(board) if isinstance(board, str) else board


def _project(folder: str | Path | None) -> Path:
    from feast_codegen.host.boards.firmware_project import PROJECT

    return PROJECT if folder is None else Path(folder)


def _source(recordings: Recordings, sensor: SensorLike | None) -> Source:
    """The source of `recordings`, which is of the size `sensor` if that is given."""
    from feast_codegen.codegen.base.errors import FeastError
    from feast_codegen.host.recordings.in_memory import sensor_from
    from feast_codegen.host.recordings.source import Source

    if not isinstance(recordings, Source):
        return open_recordings(recordings, sensor=sensor)
    size = sensor_from(sensor)
    if size not in (None, recordings.sensor):
        raise FeastError(f"{recordings.spec}: has a {recordings.sensor} sensor, expected {size}")
    return recordings
