"""``harmonia verify``: judge who can reach whose rows, on a throw-away copy or a URL."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harmonia_cli.options import SupabaseDirOption, path
from harmonia_cli.output import OutputFormat, OutputOption, command, emit, stderr, stdout
from harmonia_cli.verify_view import show

if TYPE_CHECKING:
    from harmonia_py.isolation.finding import Report
    from harmonia_py.isolation.lab import Lab
    from harmonia_py.isolation.model import TenancyModel
    from harmonia_py.isolation.source import Source
    from harmonia_py.project import Project

__all__ = ["verify"]


def verify(
    db_url: Annotated[
        str | None,
        typer.Option("--db-url", help="Judge this database; everything is rolled back."),
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="Throw-away database: embedded or container.")
    ] = "embedded",
    image: Annotated[str | None, typer.Option("--image", help="Image of the container.")] = None,
    pg_bin: Annotated[
        Path | None,
        typer.Option("--pg-bin", help="Folder of PostgreSQL programs to use.", parser=path),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", help="Tenancy model (default: harmonia.toml of the project).", parser=path
        ),
    ] = None,
    init: Annotated[
        bool, typer.Option("--init", help="Write the inferred model to harmonia.toml and stop.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail also on what could not be judged.")
    ] = False,
    mutate: Annotated[
        bool, typer.Option("--mutate", help="Break the protection on purpose, score the harness.")
    ] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Judge what applied when a migration fails.")
    ] = False,
    not_production: Annotated[
        bool,
        typer.Option("--yes-this-is-not-production", help="Agree to probe a remote database."),
    ] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.01, max=3600, help="Seconds per probe.")
    ] = 2.0,
    baseline: Annotated[
        Path | None,
        typer.Option(
            "--baseline", help="TOML file of accepted findings: id, reason, until.", parser=path
        ),
    ] = None,
    sarif: Annotated[
        Path | None, typer.Option("--sarif", help="Write SARIF 2.1.0.", parser=path)
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write JUnit XML.", parser=path)
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write one self-contained page.", parser=path)
    ] = None,
    emit_pgtap: Annotated[
        Path | None,
        typer.Option(
            "--emit-pgtap", help="Write pgTAP files for `supabase test db` here.", parser=path
        ),
    ] = None,
    through: Annotated[
        str | None,
        typer.Option(
            "--through-postgrest",
            help="Run the matrix over HTTP through this PostgREST (with --db-url; local only).",
        ),
    ] = None,
    signing_env: Annotated[
        str,
        typer.Option(
            "--jwt-secret-env", help="Environment variable with the HS256 secret of PostgREST."
        ),
    ] = "PGRST_JWT_SECRET",
    github: Annotated[
        bool, typer.Option("--github", help="Print GitHub annotations on stderr.")
    ] = False,
    supabase_dir: SupabaseDirOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Try everything every role could try against another tenant, and judge what happened.

    Exit codes: 0 clean, 5 isolation breach, 3 another finding, 1 could not judge.

    Example: harmonia verify

    Example: harmonia verify --strict --github --sarif isolation.sarif --html isolation.html

    Example: harmonia verify --db-url "$DATABASE_URL" --output json

    Example: harmonia verify --mutate
    """
    with command(output):
        from harmonia_py import project
        from harmonia_py.errors import FolderMissing, UsageError
        from harmonia_py.isolation import proof, runner, source
        from harmonia_py.isolation.model import dump, load
        from harmonia_py.isolation.verdict.baseline import load_baseline

        found: project.Project | None = None
        try:
            found = project.find(supabase_dir)
        except FolderMissing:
            if db_url is None:
                raise
        path = model or ((found.root if found else project.working_directory()) / "harmonia.toml")
        if init and path.exists():
            raise UsageError(f"{path.name} exists already", hint="edit it, or move it away first")
        if model is not None and not path.exists() and not init:
            raise UsageError(f"there is no file {path}")
        intent = load(path) if path.exists() else None
        accepted = load_baseline(baseline) if baseline is not None else None
        if through is not None:
            report = _over_http(through, db_url, signing_env, intent)
            _write(report, found, sarif=sarif, junit=junit, html=html, github=github)
            emit(report.as_dict(), output, lambda _: _say(_matrix_over_http(report)))
            raise typer.Exit(report.exit_code(strict=strict))
        origin: AbstractContextManager[Source]
        if db_url is not None:
            origin = nullcontext(source.from_url(db_url, not_production=not_production))
        else:
            assert found is not None  # noqa: S101 (project.find raised otherwise)
            made_by = source.engine(engine, image=image, pg_bin=pg_bin)
            origin = source.from_project(found, made_by, keep_going=keep_going, progress=_tell)
        if not (init or mutate):
            proof.warm()
        with origin as target:
            if init:
                path.write_text(dump(runner.propose(target.dsn)), encoding="utf-8")
                emit({"written": str(path)}, output, lambda data: stdout.print(data["written"]))
                return
            if mutate:
                from harmonia_py.isolation.mutation import scoring

                more = [target.copy()] if target.copy else []
                score = scoring.run(
                    [target.dsn, *more], model=intent, timeout=timeout, progress=_tell
                )
                emit(score.as_dict(), output, lambda _: _say(score.text()))
                raise typer.Exit(score.exit_code)
            report = runner.verify(
                target.dsn,
                model=intent,
                stand_ins=target.stand_ins,
                timeout=timeout,
                progress=_tell,
                afterwards=_pgtap(emit_pgtap) if emit_pgtap is not None else None,
                copy=target.copy,
            )
        if accepted is not None:
            report, remarks = accepted.apply(report, today=date.today())
            for remark in remarks:
                stderr.print(f"baseline: {remark}", highlight=False)
        _write(report, found, sarif=sarif, junit=junit, html=html, github=github)
        data = report.as_dict() | {
            "engine": target.label,
            "remedied": list(target.remedied),
            "unapplied": [
                {"file": u.file, "line": u.line, "reason": u.reason, "statement": u.statement}
                for u in target.unapplied
            ],
        }
        emit(data, output, lambda _: show(report, target))
        code = report.exit_code(strict=strict)
        if code == 0 and target.unapplied:
            code = 1
        raise typer.Exit(code)


def _over_http(url: str, db_url: str | None, variable: str, intent: TenancyModel | None) -> Report:
    import os

    from harmonia_py.errors import UsageError
    from harmonia_py.isolation.through import through_postgrest

    if db_url is None:
        raise UsageError("--through-postgrest needs --db-url: the database behind it")
    secret = os.environ.get(variable, "")
    if not secret:
        raise UsageError(f"the environment variable {variable} is empty")
    return through_postgrest(db_url, url, secret, model=intent, progress=_tell)


def _matrix_over_http(report: Report) -> str:
    agreed = sum(cell.ok for cell in report.cells)
    lines = [f"{agreed} of {len(report.cells)} cells are the same over HTTP as in SQL"]
    lines += [
        f"{item.object}: {evidence}" for item in report.findings for evidence in item.evidence
    ]
    lines += [f"not judged: {item.object}: {item.reason}" for item in report.not_judged]
    return "\n".join(lines)


def _write(
    report: Report,
    found: Project | None,
    *,
    sarif: Path | None,
    junit: Path | None,
    html: Path | None,
    github: bool,
) -> None:
    """Write the reports that were asked for; a place that cannot be written is an error."""
    from harmonia_py.errors import NotWritable
    from harmonia_py.isolation import reports
    from harmonia_py.isolation.verdict.places import places

    known: dict[str, tuple[str, int]] = {}
    if found is not None:
        files = [*sorted(found.migrations.glob("*.sql")), *sorted(found.policies.glob("*.sql"))]
        known = places(found.root, files)
    wanted: dict[Path | None, Callable[[], str]] = {
        sarif: lambda: reports.sarif(report, known),
        junit: lambda: reports.junit(report),
        html: lambda: reports.html(report),
    }
    for place, make in wanted.items():
        if place is None:
            continue
        try:
            place.write_text(make(), encoding="utf-8")
        except OSError as error:
            raise NotWritable(f"{place} cannot be written: {error.strerror}") from None
    if github:
        typer.echo(reports.github(report, known), nl=False, err=True)


def _pgtap(folder: Path) -> Callable[[Lab, Report], None]:
    def write(lab: Lab, report: Report) -> None:
        from harmonia_py.isolation import pgtap

        _tell("trying the pgTAP assertions")
        pgtap.write(folder, pgtap.emit(lab, report))

    return write


def _say(text: str) -> None:
    stdout.print(text, highlight=False)


def _tell(text: str) -> None:
    if stderr.is_terminal:
        stderr.print(text, style="dim", highlight=False)
