"""Adds the page to Dask's dashboard; the one place that touches private names of distributed.

This module is sent to the scheduler by value: it imports nothing of dhpo, but for what is sent with it.
"""

from __future__ import annotations

import contextlib
import functools
from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin
from tornado.ioloop import IOLoop

from dhpo.dashboard.document import SearchView
from dhpo.dashboard.search_data import SearchData
from dhpo.dashboard.topics import topic_of_rows, topic_of_state, topic_of_stop

__all__ = ["SearchOnDashboard"]

_PAGE = "dhpo"
# With the navigation bar; and bare, which the list of plots has that JupyterLab's extension of Dask shows.
_ROUTES = ("/dhpo", "/individual-dhpo")
_UPDATE_MILLISECONDS = 500
_LINGER_SECONDS = 2.0


class SearchOnDashboard(SchedulerPlugin):
    """One search on the page that all searches share, which goes with the last of them.

    Parameters
    ----------
    name : str
        Of the search; messages for it come under its `topic_of_rows`, which is the name of the plugin, too.
    client : str
        The id of the client that runs it: where that goes, also because its process died, so does the search.
    """

    idempotent = True

    def __init__(self, name: str, client: str) -> None:
        self.name = topic_of_rows(name)
        self._search = name
        self._client = client
        self._data: Any = None
        self._scheduler: Any = None

    async def start(self, scheduler: Any) -> None:
        """Make the page, if there is none yet, and put the search on it."""
        self._scheduler = scheduler
        why = None
        try:
            page = scheduler.extensions.get(_PAGE)
            if page is None:
                page = scheduler.extensions[_PAGE] = _Page(scheduler)
            self._data = page.searches.setdefault(self._search, SearchData(self._search[:4]))
        except Exception as error:  # a page is never worth a search
            scheduler.extensions.pop(_PAGE, None)
            why = f"{type(error).__name__}: {error}"
        scheduler.log_event(topic_of_state(self._search), {"why": why})

    def log_event(self, topic: str, msg: Any) -> None:
        """Take in what the driver says."""
        if topic == self.name and self._data is not None:
            self._data.take(msg.get("rows", ()))
            with contextlib.suppress(AttributeError):
                self._scheduler._broker.truncate(topic)  # else the scheduler keeps what it was told
            if msg.get("end"):
                self._remove_soon()

    def remove_client(self, scheduler: Any, client: str) -> None:
        """Take the search away with its client."""
        if client == self._client and self._data is not None and not self._data.state["over"]:
            died = {"status": "its process has ended", "over": True, "active": 0}
            self._data.take([["state", {**self._data.state, **died}]])
            self._remove_soon()

    def _remove_soon(self) -> None:
        """First those who look at the page are shown how the search has ended."""
        IOLoop.current().call_later(_LINGER_SECONDS, self._remove)

    async def close(self) -> None:
        """The scheduler ends, and the page with it."""
        self._data = None

    def _remove(self) -> None:
        if self._data is None:
            return
        self._data = None
        self._scheduler.plugins.pop(self.name, None)
        page = self._scheduler.extensions.get(_PAGE)
        if page is not None:
            page.searches.pop(self._search, None)
            if not page.searches:
                self._scheduler.extensions.pop(_PAGE)
                page.close()


class _Page:
    """The page of all searches of one scheduler."""

    def __init__(self, scheduler: Any) -> None:
        from bokeh.server.tornado import BokehTornado
        from distributed.dashboard.core import BokehApplication
        from distributed.dashboard.scheduler import template_variables

        self.searches: dict[str, Any] = {}
        self.closed = False
        self._scheduler = scheduler
        applications = scheduler.http_application.applications
        dashboard = next((app for app in applications if isinstance(app, BokehTornado)), None)
        if dashboard is None:
            raise RuntimeError("the scheduler has no dashboard")
        # The lists that all pages of the dashboard share.
        self._variables = template_variables(scheduler)
        prefix = dashboard.prefix.strip("/")
        extra = {"prefix": f"/{prefix}/" if prefix else "/", **self._variables}
        documents = {route: functools.partial(_document, self, extra, route != _ROUTES[0]) for route in _ROUTES}
        self._app = BokehApplication(documents, scheduler, prefix=prefix, template_variables=self._variables)
        self._app.initialize(IOLoop.current())
        self._app.start()
        scheduler.http_application.add_application(self._app)
        listed: Any = dashboard._applications
        self._listed = listed  # where the bare page is only so that it is listed
        listed[_ROUTES[1]] = self._app._applications[_ROUTES[1]]
        if _PAGE not in self._variables["pages"]:
            self._variables["pages"].insert(1, _PAGE)

    def stop(self, name: str) -> None:
        """Ask the driver of a search to end it; from any thread, as bokeh may call this in one of its own."""
        self._scheduler.loop.add_callback(self._scheduler.log_event, topic_of_stop(name), {"stop": True})

    def close(self) -> None:
        """Take the page away from the dashboard; those who look at it keep how the last search ended."""
        self.closed = True
        self._listed.pop(_ROUTES[1], None)
        if _PAGE in self._variables["pages"]:
            self._variables["pages"].remove(_PAGE)
        self._scheduler.http_application.applications.remove(self._app)
        self._stop_without_viewers()

    def _stop_without_viewers(self) -> None:
        """Bokeh stumbles over viewers who leave an application that has ended."""
        if self._app._clients:
            IOLoop.current().call_later(_LINGER_SECONDS, self._stop_without_viewers)
        else:
            self._app.stop(wait=False)  # to wait is not allowed on the loop that it runs on


def _document(page: Any, extra: dict[str, Any], bare: bool, scheduler: Any, template: Any, doc: Any) -> None:
    """Build the document of one viewer."""
    from distributed.dashboard.components.scheduler import BOKEH_THEME, env

    view = SearchView(page.searches, page.stop)
    doc.add_root(view.root)

    def update() -> None:
        # Asked first: what comes before the page closes is shown, however long this viewer's last update took.
        closed = page.closed
        try:
            view.update()
        finally:
            if closed:
                doc.remove_periodic_callback(periodic)

    periodic = doc.add_periodic_callback(update, _UPDATE_MILLISECONDS)
    doc.theme = BOKEH_THEME
    doc.title = "Dask: dhpo"
    if not bare:
        doc.template = env.get_template("simple.html")
        doc.template_variables.update(extra)
