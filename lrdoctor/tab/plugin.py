"""The plugin TensorBoard loads by its entry point `tensorboard_plugins`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

from tensorboard.backend import http_util
from tensorboard.plugins.base_plugin import FrontendMetadata, TBContext, TBPlugin
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Request, Response

from lrdoctor.tab.background import Background

_PAGE = re.compile(r"/report/([A-Za-z0-9_-][A-Za-z0-9._-]*\.(html|css|js))$")
_TYPES = {"html": "text/html", "css": "text/css", "js": "application/javascript"}
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|^hdfs:|^/cns/")
_KEPT = 3600  # seconds a browser keeps the chart library


class LRDoctorPlugin(TBPlugin):  # type: ignore[misc]  # TensorBoard ships no types
    """Serves the report of the runs below `--logdir` (or each folder of `--logdir_spec`), and nothing else."""

    plugin_name = "lrdoctor"

    def __init__(self, context: TBContext) -> None:
        self._folders = tuple(folders_of(context))
        self._background: Background | None = None

    def is_active(self) -> bool:
        """Whether there is a folder on this machine to look into."""
        return bool(self._folders)

    def frontend_metadata(self) -> FrontendMetadata:
        return FrontendMetadata(es_module_path="/index.js", tab_name="LR Doctor", disable_reload=True)

    def get_plugin_apps(self) -> dict[str, Callable[..., Any]]:
        return {
            "/index.js": self._frontend,
            "/status.json": self._status,
            "/audit.json": self._audit,
            "/report/*": self._page,
        }

    @property
    def background(self) -> Background:
        if self._background is None:
            self._background = Background(self._folders)
        return self._background

    def _frontend(self, environ: dict[str, Any], start: Any) -> Any:
        from lrdoctor.resources import templates_dir

        text = (templates_dir() / "tensorboard" / "index.js").read_text(encoding="utf-8")
        return _respond(environ, start, text, "application/javascript")

    def _status(self, environ: dict[str, Any], start: Any) -> Any:
        return _respond(environ, start, json.dumps(self.background.status()), "application/json")

    def _audit(self, environ: dict[str, Any], start: Any) -> Any:
        """What `lrdoctor audit --format json` prints."""
        from lrdoctor.report.json import dumps

        audit = self.background.audit()
        if audit is None:
            return _not_there(environ, start)
        return _respond(environ, start, dumps(audit), "application/json")

    def _page(self, environ: dict[str, Any], start: Any) -> Any:
        """A file of the report. Names of no other form are not even looked for."""
        wanted = _PAGE.search(Request(environ).path)
        if wanted is None:
            return _not_there(environ, start)
        name, suffix = wanted.groups()
        try:
            content = (self.background.folder / name).read_bytes()
        except OSError:
            return _not_there(environ, start)
        kept = _KEPT if name.startswith("plotly") else 0
        return _respond(environ, start, content, _TYPES[suffix], expires=kept)


def folders_of(context: TBContext) -> Iterator[str]:
    """The folders TensorBoard shows, those on this machine."""
    spec = getattr(context.flags, "logdir_spec", "") if context.flags is not None else ""
    given = [context.logdir] if context.logdir else [_unnamed(part) for part in (spec or "").split(",") if part]
    yield from (folder for folder in given if not _REMOTE.match(folder))


def _unnamed(part: str) -> str:
    """The folder of "name:folder", told apart as TensorBoard does from an absolute path, a URL and a drive."""
    named = ":" in part and part[0] != "/" and not _REMOTE.match(part) and not os.path.splitdrive(part)[0]
    return part.partition(":")[2] if named else part


def _respond(environ: dict[str, Any], start: Any, content: str | bytes, kind: str, expires: int = 0) -> Any:
    response: Response = http_util.Respond(Request(environ), content, kind, expires=expires)
    return response(environ, start)


def _not_there(environ: dict[str, Any], start: Any) -> Any:
    response: Response = http_util.Respond(Request(environ), NotFound.description, "text/plain", code=404)
    return response(environ, start)
