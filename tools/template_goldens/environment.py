"""The jinja2 environment that Hugging Face transformers renders chat templates in.

Restated from the behaviour of transformers 5 (utils/chat_template_utils.py): an immutable sandbox with
trim_blocks and lstrip_blocks, loop controls, a `generation` block, tojson as json.dumps without ASCII
escaping, raise_exception, strftime_now, and a namespace that refuses names with a leading underscore.
The clock is fixed, so that goldens do not change.
"""

import datetime
import json

import jinja2
import jinja2.ext
import jinja2.nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2026, 2, 3, 14, 5, 9, 123456)


class GenerationTag(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

    def _render(self, caller):
        return caller()


class DictGlobal:
    def __call__(self, *args, **kwargs):
        return dict(*args, **kwargs)


class NamespaceGlobal(jinja2.utils.Namespace):
    def __init__(*args, **kwargs):
        self, args = args[0], args[1:]
        attributes = dict(*args, **kwargs)
        for name in attributes:
            NamespaceGlobal.check(name)
        jinja2.utils.Namespace.__init__(self, attributes)

    def __setitem__(self, name, value):
        NamespaceGlobal.check(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)

    @staticmethod
    def check(name):
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"underscore-prefixed namespace attribute {name!r}")


class Raised(jinja2.exceptions.TemplateError):
    """What raise_exception raises, to be told from the template's mistakes."""


def make_environment():
    def raise_exception(message):
        raise Raised(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: NOW.strftime(form)
    environment.globals["dict"] = DictGlobal()
    environment.globals["namespace"] = NamespaceGlobal
    return environment


ENVIRONMENT = make_environment()


def render(source, variables):
    """{"text": ...}, {"raised": message} or {"error": why}; the last two when it fails."""
    try:
        text = ENVIRONMENT.from_string(source).render(**variables)
        text.encode()
        return {"text": text}
    except Raised as e:
        return {"raised": str(e.message)}
    except Exception as e:  # any Python exception stops a template, endless recursion too
        return {"error": f"{type(e).__name__}: {e}"[:200]}
