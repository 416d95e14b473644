"""A verdict in the forms that other tools read. Each function takes a report, returns text."""

from harmonia_py.isolation.reports.github import github
from harmonia_py.isolation.reports.html import html
from harmonia_py.isolation.reports.junit import junit
from harmonia_py.isolation.reports.sarif import sarif

__all__ = ["github", "html", "junit", "sarif"]
