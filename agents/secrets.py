"""What is neither stored nor shown of an agent's options: passwords, keys, and fields that may hold them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from ..core.checks import short_repr

HIDDEN = "[hidden]"
"""What stands in place of a secret."""
_PUBLIC = frozenset(
    """
    temperature top_p top_k min_p typical_p seed logit_bias mirostat mirostat_tau repetition_penalty
    presence_penalty frequency_penalty length_penalty repeat_penalty mirostat_eta stop stop_token_ids
    include_stop_str_in_output ignore_eos skip_special_tokens min_tokens max_tokens max_completion_tokens
    max_new_tokens num_predict num_ctx n_predict best_of reasoning reasoning_effort effort verbosity think thinking
    enable_thinking enabled thinking_budget budget_tokens include_reasoning separate_reasoning chat_template_kwargs
    type add_generation_prompt response_format logprobs top_logprobs service_tier options extra_body
    tensor_parallel_size pipeline_parallel_size data_parallel_size max_model_len max_num_seqs max_num_batched_tokens
    gpu_memory_utilization dtype kv_cache_dtype quantization enforce_eager enable_prefix_caching swap_space
    cpu_offload_gb trust_remote_code revision load_format
    """.split()  # noqa: SIM905 - words are easier to read than a list of literals
)
"""Fields of requests, and arguments of engines, whose values decide answers and are no secrets."""


class Address(NamedTuple):
    """A server's address, apart: what may be shown of it, and what goes with requests alone."""

    stated: str
    """Scheme, host, port and path."""
    login: tuple[str, str] | None
    """User and password."""
    query: str

    @classmethod
    def of(cls, url: str) -> Address:
        """Return the parts of ``url``, whose fragment is dropped; a ``ValueError`` that shows no secret if it has none.

        Examples
        --------
        >>> Address.of("https://me:p@ss@[::1]:8000/v1?key=7#x")
        Address(stated='https://[::1]:8000/v1', login=('me', 'p@ss'), query='key=7')
        """
        shown = "one that may hold a password" if set("@?#") & set(url) else short_repr(url)
        try:
            parts = urlsplit(url)
            login, at, place = parts.netloc.rpartition("@")
            plain = url.isascii() and url.isprintable() and not set(" \\") & set(url) | set('"<>^`{|}') & set(place)
            valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and plain
        except ValueError:
            valid = False
        if not valid:
            rule = "base_url must be like https://host/v1 or http://localhost:8000/v1"
            raise ValueError(f"{rule}, got {shown}")
        if "@" in parts.path + parts.query + parts.fragment:  # of a password with / or ? or #, or it looks like one
            raise ValueError("base_url must spell @, /, ? and # as %40, %2F, %3F and %23 in user, password and query")
        user, _, password = login.partition(":")
        stated = f"{parts.scheme}://{place}{parts.path}".rstrip("/")
        return cls(stated, (unquote(user), unquote(password)) if at else None, parts.query)


def recorded(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a transcript keeps of an agent's options: no login, and no value of a field that may be a secret.

    The names of such fields are kept, with one byte of their values' hash: enough to see that they changed, too little
    to guess them.

    Examples
    --------
    >>> recorded({"base_url": "http://me:secret@host/v1", "extra": {"top_k": 20, "api_key": "secret"}})
    {'base_url': 'http://host/v1', 'extra': {'top_k': 20, 'api_key': '[hidden]'}, 'extra check': '7e'}
    """
    kept: dict[str, Any] = {}
    for name, value in options.items():
        kept[name] = value
        if name == "base_url" and isinstance(value, str):
            kept[name] = Address.of(value).stated
        elif name in ("extra", "engine"):
            value = fields_of(value) if isinstance(value, str) else value
            kept[name] = _shown(value)
            if hidden := list(_hidden(value)):
                text = json.dumps(hidden, sort_keys=True)
                kept[f"{name} check"] = hashlib.sha256(text.encode()).hexdigest()[:2]
    return kept


def fields_of(extra: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """Return the fields that ``extra`` names, as a mapping or as JSON; a ``ValueError`` that shows none of them."""
    what = type(extra).__name__
    try:
        found = json.loads(extra) if isinstance(extra, str) else {} if extra is None else extra
        json.dumps(found)
    except json.JSONDecodeError as error:
        found, what = None, f"{error.msg} at character {error.pos}"
    except (ValueError, TypeError, RecursionError):
        found = None
    if not isinstance(found, Mapping):
        raise ValueError(f"extra must be a JSON object of fields of the request, got {what}")
    return dict(found)


def _shown(value: Any) -> Any:
    """Return ``value`` with `HIDDEN` in place of each field that may be a secret."""
    if isinstance(value, Mapping):
        return {name: _shown(inner) if name in _PUBLIC else HIDDEN for name, inner in value.items()}
    return [_shown(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _hidden(value: Any) -> Iterator[Any]:
    """Yield what `_shown` hides."""
    if isinstance(value, Mapping):
        yield from (inner for name, inner in value.items() if name not in _PUBLIC)
        value = [inner for name, inner in value.items() if name in _PUBLIC]
    for inner in value if isinstance(value, (list, tuple)) else ():
        yield from _hidden(inner)


class Secrets:
    """The secrets of an agent, which no text may hold that others wrote or that is shown."""

    def __init__(self, key: str, address: Address, extra: Mapping[str, Any]) -> None:
        login = address.login or ("", "")
        found = [key, *login, base64.b64encode(":".join(login).encode()).decode(), address.query]
        found += [value for pair in parse_qsl(address.query) for value in pair[1:]]
        found += [str(leaf) for value in _hidden(extra) for leaf in _leaves(value)]
        spelt = {form for secret in found for form in (secret, quote(secret), json.dumps(secret)[1:-1])}
        self._found = sorted(spelt, key=len, reverse=True)

    def hide(self, text: str, shortest: int = 3) -> str:
        """Return ``text`` with `HIDDEN` in place of each secret that is not shorter than ``shortest``."""
        for secret in self._found:
            if len(secret) >= shortest:
                text = text.replace(secret, HIDDEN)
        return text

    def hide_all(self, data: Any) -> Any:
        """Return JSON-ready data in which all texts have passed `hide`; short words of a reply may be no secrets."""
        if isinstance(data, str):
            return self.hide(data, 6)
        if isinstance(data, dict):
            return {name: self.hide_all(value) for name, value in data.items()}
        return [self.hide_all(value) for value in data] if isinstance(data, list) else data


def _leaves(value: Any) -> Iterable[Any]:
    """Yield what nested lists and objects hold; booleans and nothing are no secrets."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None and not isinstance(value, bool):
        yield value
