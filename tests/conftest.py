"""What several test files need."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Before NumPy is imported: tests run side by side, and threads that wait for each other slow bisections tenfold.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from cases import ONE_PER_KIND, PROBLEMS

ROOT = Path(__file__).resolve().parents[1]
# Before torch is imported: threads that spin-wait slow each other tenfold, and tests run side by side.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # in the background of a shell, and children inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


QUICK = ("core", "envs", "kinds", "pictures", "solvers", "training", "wrappers")
"""Folders whose tests are quick, of one problem for each kind."""
SECONDS = (
    *("test_branch_and_cut_tsp.py", "test_curriculum.py", "test_human_render.py", "test_limits.py", "test_pictures.py"),
    *("test_preflight.py", "test_relabel.py", "test_seeding.py", "test_skin.py", "test_training_kit.py"),
    "test_vector.py",
)
"""Files in them that take longer."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no file that has no quick test where only those are wanted: trainers take seconds to import."""
    if config.option.markexpr == "quick" and collection_path.is_file():
        return collection_path.parent.name not in QUICK or collection_path.name in SECONDS or None
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `pytest -m quick` runs."""
    for item in items:
        folder, values = item.path.parent.name, getattr(item, "callspec", None)
        name = "TSP" if values is None else values.params.get("name", "TSP")
        of_problem = item.path.name.removeprefix("test_").removesuffix(".py")
        other = folder == "envs" and of_problem not in (
            "every_problem",
            "reward_properties",
            "tsp",
            "knapsack",
        )
        if folder not in QUICK or item.path.name in SECONDS or item.get_closest_marker("slow") or other:
            continue
        if name in ONE_PER_KIND or name not in PROBLEMS:
            item.add_marker(pytest.mark.quick)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout that holds these tests."""
    return ROOT


@pytest.fixture(scope="session")
def classic() -> Path:
    """Public instances with published optima; not part of the project, so tests skip without them."""
    folder = ROOT.parent / "shared" / "classic_instances"
    if not folder.is_dir():
        pytest.skip("needs the public instances beside the checkout")
    return folder


@pytest.fixture(scope="session")
def np_bench() -> Callable[[str], list[dict[str, Any]]]:
    """Instances of the published benchmark with proven optima, by task; tests skip without them too."""

    def entries(task: str) -> list[dict[str, Any]]:
        path = ROOT.parent / "shared" / "np_bench" / f"{task}.json"
        if not path.is_file():
            pytest.skip("needs the published instances beside the checkout")
        found: list[dict[str, Any]] = json.loads(path.read_text())["instances"]
        return found

    return entries


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a language model of random weights and a chat template; nothing is downloaded."""
    pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM, set_seed

    set_seed(0)
    characters = ["<pad>", "<eos>", "<unk>", *map(chr, range(32, 127)), "\n"]
    words = Tokenizer(models.WordLevel({c: i for i, c in enumerate(characters)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )
    tokenizer.chat_template = (
        "{% for m in messages %}{{ '[' + m['role'] + '] ' + m['content'] + '\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant] {% endif %}"
    )
    config = Qwen3Config(
        vocab_size=len(characters),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=4096,
        initializer_range=1.0,  # wide enough that replies differ
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    model = Qwen3ForCausalLM(config)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def stub_server() -> Iterator[Any]:
    """An OpenAI-compatible server on the loopback that misbehaves as told: the `StubServer` of stub_server.py."""
    name = "stub_server"  # by path: tests are no package, and this file serves several folders of them
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules.setdefault(name, importlib.util.module_from_spec(spec))
    if not hasattr(module, "StubServer"):
        spec.loader.exec_module(module)
    with module.StubServer() as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, as Playwright's `Browser`; tests skip where none is installed.

    It ends with the module: while it runs, this thread has an event loop, and `asyncio.run` is refused.
    """
    playwright = pytest.importorskip("playwright.sync_api")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("needs Chromium")
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=found, args=quiet)
        yield running
        running.close()


@pytest.fixture(autouse=True, scope="session")
def _no_store() -> Iterator[None]:
    """Keep the user's reference store out of the tests, subprocesses included."""
    before = os.environ.get("FORGE_GYM_STORE")
    os.environ["FORGE_GYM_STORE"] = "off"
    yield
    if before is None:
        del os.environ["FORGE_GYM_STORE"]
    else:
        os.environ["FORGE_GYM_STORE"] = before
