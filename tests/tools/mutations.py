"""`python -m tests.tools.mutations`: break each rule of a trustworthy run in turn, and check that a test fails.

Each mutation is made in a copy of the checkout, so that the working tree stays as it is. The tests of its own module
run first, then all others. Takes about an hour.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click

ROOT = Path(__file__).parents[2]
MAX_SECONDS = 600  # of a suite


def tests_of(*modules: str) -> list[str]:
    """Return the paths of the tests of modules; the last part of a path is the module's name."""
    return [str(path.relative_to(ROOT)) for name in modules for path in (ROOT / "tests").glob(f"*/test_{name}.py")]


SUITES = (
    tests_of(
        "retry", "threads", "schema", "column_types", "records", "run", "dedupe", "filters", "signed_urls", "parquet", "publish", "auth", "transport",
        "client", "extract", "any_response", "response", "connections", "deletions", "second_reads", "diff", "lake", "lake_file", "change_files", "scope", "guard", "watchdog",
        "forks", "wrong_arguments", "cli", "cli_exit", "cli_options", "cli_output", "cli_reports", "cli_lake", "killed_writers",
    ),
    tests_of("windows", "parallel", "parts", "partitions", "several_projects", "project_lakes", "incremental", "cli_projects"),
    ["tests/system/faults"],
    tests_of(
        "thumbnails", "charts", "charts_by_owner", "charts_daily", "charts_growth", "charts_largest", "report", "report_command", "report_in_a_browser",
        "page_text", "snapshots", "snapshot_run", "lake_reader", "projects", "stores", "object_stores", "completion"
    ),
)  # fmt: skip

# The tests of a module that do not have its name.
MORE_TESTS = {
    "windows": ["parallel"],
    "dated_list": ["windows", "parallel"],
    "window_pages": ["windows", "parts", "partitions"],
    "schedule": ["several_projects", "parts", "parallel", "partitions"],
    "part_reader": ["parallel", "windows"],
    "parallel": ["parts", "windows", "several_projects"],
    "source": ["parts", "parallel", "project_lakes"],
    "projects": ["several_projects"],
    "snapshot_run": ["incremental", "project_lakes"],
    "snapshots": ["project_lakes"],
    "deletions": ["project_lakes", "second_reads"],
    "cli_demo": ["cli_lake"],
    "lake_reader": ["cli_lake"],
    "transport": ["cli_projects"],
}


@dataclass(frozen=True)
class Mutation:
    """An edit that breaks a rule: `old` stands once in the module, `new` in its place is wrong."""

    rule: str
    module: str
    old: str
    new: str


MUTATIONS = [
    Mutation("asset ids are safe names", "lake_thumbnails", 're.fullmatch(r"[A-Za-z0-9_-]{1,200}", asset_id)', "asset_id"),
    Mutation("stored thumbnails are not fetched again", "lake_thumbnails", " if url and asset_id not in existing", " if url"),
    Mutation("thumbnails of the rows updated last", "lake_thumbnails", '"descending"', '"ascending"'),
    Mutation("what is no JPEG is not read", "lake_thumbnails", "if content.startswith(JPEG_SIGNATURE) and len(content) <= MAX_FILE_BYTES:", "if content:"),
    Mutation("no thumbnail fails a run", "lake_thumbnails", "    except Exception as error:  # noqa: BLE001", "    except KeyError as error:  # noqa: BLE001"),
    Mutation("what came is stored in time", "lake_thumbnails", "deadline=FETCH_SECONDS", "deadline=TIME_LIMIT"),
    Mutation("a link in the place of a thumbnail stays", "lake_thumbnails", "os.path.islink(folder) or os.path.lexists(path)", "False"),
    Mutation("totals of a snapshot that is there are read", "lake_reader", "run.snapshot.total(total_column) if run.snapshot else", ""),
    Mutation("an output has the failure of another", "cli_reports", "        except ScenarioError as error:\n            if (problem", "        except ZeroDivisionError as error:\n            if (problem"),
    Mutation("the metrics include a report that stdout does not take", "cli_reports", "            write()\n        except ScenarioError", "            pass\n        except ScenarioError"),
    Mutation("metrics in an object store keep the last success", "cli_reports", "call(_read, store, place).decode()", "open(place).read() if False else ''"),
    Mutation("an error names the option", "cli_options", "option_name(match[0]) if match[0] in ARGUMENT_NAMES else match[0]", "match[0]"),
    Mutation("a column is no option", "cli_options", "(?<!column )", ""),
    Mutation("bounds in the wrong order are an error", "filters", "if after and before and after >= before:", "if False:"),
    Mutation("an incomplete second read deletes no row", "deletions", "if self.lookups is None and is_incomplete:", "if self.lookups is None and is_incomplete and not self.guard.accept_shrink:"),
    Mutation("a JPEG of many scans is not decoded", "thumbnails", "if image.format in {\"JPEG\", \"MPO\"} and content.count(START_OF_SCAN) > MAX_SCANS:", "if False:"),
    Mutation("the error of a request names its project", "transport", "if self._project is None:", "if True:"),
    Mutation("a file of the future is named", "dashboard/page", "        _check_dates(lake, runs)\n", ""),
    Mutation("a demo does not continue the changes of a lake", "lake_reader", "tables.snapshots.dates() or tables.changes.dates()", "tables.snapshots.dates()"),
    Mutation("metrics of another resource do not count", "cli_reports", '{{resource="{resource}"\\}}', '{{[^}}]*\\}}'),
    Mutation("no line through a guarded night", "dashboard/charts", 'axis.plot(values.index, values,', 'axis.plot(values.dropna().index, values.dropna(),'),
    Mutation("an axis starts at zero", "dashboard/axes", "axis.set_ylim(bottom=0, ", "axis.set_ylim("),
    Mutation("a tie is no busiest day", "dashboard/titles", "    if len(top) > 1:", "    if False:"),
    Mutation("a bar of two days is no day", "dashboard/titles", "if (top[\"date\"] - top[\"previous_date\"] > timedelta(days=1)).any():", "if False:"),
    Mutation("no percentage of zero items", "dashboard/titles", "    if not total:", "    if False:"),
    Mutation("a small change is not a cliff", "dashboard/axes", "max(MIN_SPAN, 1.6 * change)", "1.6 * change + 1e-9"),
    Mutation("the number of a bar is the total of the title", "dashboard/axes", "write_number(axis, total, place, total)", "write_number(axis, labeled[\"added\"].max(), place, total)"),
    Mutation("other owners do not take the scale", "dashboard/heat_map", "int(named.to_numpy().max())", "int(counts.to_numpy().max())"),
    Mutation("the page has at most 1 MB", "dashboard/page", "side = side * 3 // 4", "break"),
    Mutation("a snapshot counts as published after a rejected run", "dashboard/page", ' | frame["rows"].notna() | frame["added"].notna()', ""),
    Mutation("the report names the other resources of a lake", "dashboard/page", "        if not stored:", "        if False:"),
    Mutation("a change of the date only is stated", "dashboard/page_text", '"only updated_at" if len(changed) else ""', '""'),
    Mutation("thumbnails of the lake are used", "dashboard/page", "shrunk.get(asset_id) or fetched", "fetched"),
    Mutation("names are requested once", "projects", "attempts=1, response_timeout=NAMES_SECONDS", "response_timeout=NAMES_SECONDS"),
    Mutation("names are requested for some seconds", "projects", "attempts=1, response_timeout=NAMES_SECONDS", "attempts=1"),
    Mutation("names cost no run", "projects", '    except ScenarioError as error:\n        logger.info("cannot read the names', '    except KeyError as error:\n        logger.info("cannot read the names'),
    Mutation("history survives retention", "change_files", '"snapshot_rows": new.rows, ', ""),
    Mutation("totals survive retention", "lake_reader", "if run.snapshot else totals.get(total_column)", "if run.snapshot else None"),
    Mutation("--days needs an empty lake", "cli_demo", "    if has_dates(lake, resource):", "    if False:"),
    Mutation("batches hold all their pages", "run", "records += page.records", "records = page.records"),
    Mutation("batches are bounded in bytes", "run", " or size >= BATCH_BYTES", ""),
    Mutation("the last batch counts", "run", "    if records:\n        yield records\n", ""),
    Mutation("4 all sorted keys are searched", "dedupe", "for keys in self._sorted:", "for keys in self._sorted[-1:]:"),
    Mutation("names on the page are escaped", "dashboard/page", "autoescape=True", "autoescape=False"),
    Mutation("thumbnails end with the deadline", "thumbnails", "arrived.get(timeout=max(0.0, end - monotonic()))", "arrived.get()"),
    Mutation("rejected runs are in the history", "lake_reader", '"rejected": run.date in rejected', '"rejected": False'),
    Mutation("thumbnails follow no redirect", "thumbnails", "allow_redirects=False, ", ""),
    Mutation("thumbnails log no signature", "thumbnails", "redact(record.getMessage(), 1000), ()", "record.getMessage(), ()"),
    Mutation("a closed client forgets its connections", "connections", "            self._session.close()", "            pass"),
    Mutation("thumbnails are bounded", "thumbnails", "if len(content) > MAX_IMAGE_BYTES:", "if False:"),
    Mutation("thumbnails get no credentials", "thumbnails", "        session.auth = _anonymous\n", ""),
    Mutation("1 a failed request is retried", "retry", "retry_if_exception_type(RetryableError)", "retry_never"),
    Mutation("1 408 is retried", "retry", "{408, 425, 429}", "{425, 429}"),
    Mutation("1 every 5xx is retried", "retry", "500 <= status <= 599", "500 <= status <= 504"),
    Mutation("1 at most so many attempts", "retry", "state.attempt_number >= attempts or ", ""),
    Mutation("1 the deadline ends it", "retry", " or self._is_past_deadline(state)", ""),
    Mutation("the time of a log line is in UTC", "cli_output", "        self.converter = gmtime\n", ""),
    Mutation("completion ends with 0", "cli_exit", "BROKEN_PIPE if error.code == 1 else error.code", "BROKEN_PIPE"),
    Mutation("a filter that is true or false can be set", "cli_options", "click.BOOL if declared.type is FLAG else click.STRING", "click.STRING"),
    Mutation("a filter that is not set is not passed", "cli_options", " if value not in (None, ())}", "}"),
    Mutation("files of options complete", "cli_options", '"--report", type=PATH, ', '"--report", '),
    Mutation("nobody waits long for a wrong host", "cli", 'CONNECT_DEADLINE if is_default("attempts", "deadline") else None', "None"),
    Mutation("a longer deadline can be set", "cli", 'CONNECT_DEADLINE if is_default("attempts", "deadline") else None', "CONNECT_DEADLINE"),
    Mutation("a wrong host is a warning at once", "transport", "seconds > LONG_WAIT or not failure.connected", "seconds > LONG_WAIT"),
    Mutation("a host that answered has the whole deadline", "retry", "self._connected |= _failure(state).connected", "pass"),
    Mutation("1 never sooner than requested", "retry", "max(_failure(state).error.retry_after or 0.0, self._backoff(state))",
             "self._backoff(state)"),
    Mutation("1 the backoff holds", "retry", "max(_failure(state).error.retry_after or 0.0, self._backoff(state))",
             "_failure(state).error.retry_after or self._backoff(state)"),
    Mutation("1 remainingSeconds counts", "retry", 'place.get("remainingSeconds")', 'place.get("remaining")'),
    Mutation("2 a page is a 200", "transport", "if response.status == 200:", "if 200 <= response.status < 300:"),
    Mutation("2 a body that is no JSON is retried", "response", 'raise RetryableError(TransientError(message, status=200), "not JSON", advice)',
             "raise TransientError(message, status=200)"),
    Mutation("2 no list is no page", "response", "if not isinstance(value, kind):", "value = value or kind()\n    if False:"),
    Mutation("2 an empty page is not made of null", "response", "if not isinstance(value, kind):",
             "value = kind() if value is None else value\n    if not isinstance(value, kind):"),
    Mutation("2 a broken response is no page", "response", "        if must_be_complete:\n            raise", "        if False:\n            raise"),
    Mutation("2 redirects stay in the origin", "response", "    if not stays:", "    if not location:"),
    Mutation("2 redirects end", "transport", "MAX_REDIRECTS = 5", "MAX_REDIRECTS = 50"),
    Mutation("3 an empty string ends the list", "pages", 'if token is None or token == "":', "if token is None:"),
    Mutation("3 zero does not end it", "pages", 'if token is None or token == "":', "if not token:"),
    Mutation("3 an empty page does not end it", "pages", "            if page.next_token is None:",
             "            if page.next_token is None or not page.records:"),
    Mutation("3 a token comes once", "pages", "        if token in seen:", "        if False:"),
    Mutation("3 ten empty pages are enough", "pages", "if empty_pages >= self.max_empty_pages:", "if False:"),
    Mutation("3 not nine", "pages", "MAX_EMPTY_PAGES = 10", "MAX_EMPTY_PAGES = 9"),
    Mutation("3 only running ones count", "pages", "empty_pages = 0 if page.records else empty_pages + 1",
             "empty_pages += not page.records"),
    Mutation("3 tokens are percent-encoded", "pages", 'quote(page.next_token, safe="")', "page.next_token"),
    Mutation("4 a repeated key is dropped", "dedupe", "if known or len(unique) < len(hashes):", "if known:"),
    Mutation("4 also of an earlier page", "dedupe", "known = self._newest.intersection(hashes)", "known: set[int] = set()"),
    Mutation("4 also of long ago", "dedupe", "        if not self._sorted:", "        if True:"),
    Mutation("4 the first is kept", "dedupe", "first.setdefault(value, position)", "first[value] = position"),
    Mutation("4 and counted", "dedupe", "self.duplicates += len(hashes) - batch.num_rows", "pass"),
    Mutation("5 a fraction is no count", "column_types", "value.is_integer() and ", ""),
    Mutation("5 true is no count", "column_types", "if not types <= {int, float, type(None)}:\n        raise ValueError\n    numbers = values if", "if not types <= {int, float, bool, type(None)}:\n        raise ValueError\n    numbers = values if"),
    Mutation("5 a float is exact up to 2^53", "column_types", " and abs(value) < MAX_EXACT_FLOAT", ""),
    Mutation("5 a number is no name", "column_types", "    if not types <= {str, type(None)}:\n        raise ValueError",
             "    values = [value if value is None else str(value) for value in values]"),
    Mutation("5 a key is never missing", "records", 'if not column.nullable and (nulls or "" in values):', 'if not column.nullable and "" in values:'),
    Mutation("5 a key is never empty", "records", 'if not column.nullable and (nulls or "" in values):', "if not column.nullable and nulls:"),
    Mutation("5 a record is an object", "records", '        self._check_objects("", records, records, {dict})', "        records = [r for r in records if type(r) is dict]"),
    Mutation("5 a thumbnail is an object", "records", "                self._check_objects(path, objects[path], records, {dict, type(None)})",
             "                objects[path] = [o if type(o) is dict else None for o in objects[path]]"),
    Mutation("5 a path of three parts is followed", "records", '    return accumulate(path.split("."), "{}.{}".format)', '    return iter({path.partition(".")[0], path})'),
    Mutation("5 nulls stand where they were", "column_types", "[value is not None for value in values]", "[value is not None for value in reversed(values)]"),
    Mutation("5 text is measured in bytes", "column_types", "if len(encoded) == len(joined) else (len(text.encode()) for text in texts)", "if True else ()"),
    Mutation("5 missing fields are counted", "records", "        if nulls and column.nullable and not column.optional:", "        if False:"),
    Mutation("5 unknown fields are counted", "records", "            self._count_unknown(path, values, records)", "            pass"),
    Mutation("5 a shown value is short", "redact", "line[: limit - 3] + \"...\"", "line"),
    Mutation("6 the file appears at the end",
        "publish",
        "        yield temporary\n        _flush(temporary)\n",
        "        os.replace(temporary, final)\n        yield final\n        os.replace(final, temporary)\n",
    ),
    Mutation("6 a failure leaves no debris", "publish", "            temporary.unlink(missing_ok=True)", "            pass"),
    Mutation("6 what is written is read back", "parquet", "            _read_back(self._path, self.rows)\n", "            pass\n"),
    Mutation("6 with its checksums", "parquet", "page_checksum_verification=True", "page_checksum_verification=False"),
    Mutation("6 a stream that fails raises", "scans", "        yield from run.batches(min_rows)",
             "        try:\n            yield from run.batches(min_rows)\n        except Exception:\n            return"),
    Mutation("7 secrets are redacted in the text of a response", "redact",
             "redact_secrets(decoded[:MAX_SEARCHED_CHARACTERS], secrets)", "decoded"),
    Mutation("7 URLs are shown without their query", "redact", 'r"\\1?..."', 'r"\\g<0>"'),
    Mutation("7 plain http is for loopback", "connections", 'if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):', "if False:"),
    Mutation("7 .netrc never replaces the credentials", "transport", 'self._request.headers["Authorization"] = f"{authorization.scheme} {credentials}"', 'self._request.headers.setdefault("Authorization", f"{authorization.scheme} {credentials}")'),
    Mutation("7 a bearer token is fetched for each request", "auth", "        token = _check_token(_call(self._token))\n", "        token = self._recent[-1] if self._recent else _check_token(_call(self._token))\n"),
    Mutation("a body is bounded", "response", "while size <= limit and ", "while "),
    Mutation("the time of a response is bounded", "response", "if is_late():", "if False:"),
    Mutation("the rate of requests is limited", "transport", "seconds = self._transport.rate_limiter.take(self._project) if self._transport.rate_limiter else 0.0", "seconds = 0.0"),
    Mutation("2 a key comes once", "response", "        if key in found:", "        if False:"),
    Mutation("2 the time is up, so it is no page", "transport", "if watch.timed_out and status == 200:", "if False:"),
    Mutation("slow responses end", "watchdog", "                    if watch.ends <= now:", "                    if False:"),
    Mutation("slow responses of a proxy end", "watchdog", "            raise TimeoutError  # http", "            pass  # http"),
    Mutation("interim answers are passed over", "watchdog", "while 101 < self.status < 200:", "while False:"),
    Mutation("a fork renews the locks", "locks", "        lock.renew()", "        pass"),
    Mutation("a fork has a watchdog of its own", "watchdog", "    _watchdog = _Watchdog()\n\n\nif", "    pass\n\n\nif"),
    Mutation("connections belong to their process", "connections", "if self._process != os.getpid():", "if False:"),
    Mutation("3 a list brings something new", "run", "if page - last_new_page >= self._pages.max_empty_pages:", "if False:"),
    Mutation("3 a list ends", "pages", "        if self.pages >= self._max_pages:\n            raise", "        if False:\n            raise"),
    Mutation("texts are compared by their UTF-8", "dedupe", "b\"\".join([blake2b(text, digest_size=8).digest() for text in texts])", "np.array([hash(text.decode()) for text in texts], np.int64).tobytes()"),
    Mutation("a null is no empty text", "diff", "pc.if_else(texts.is_valid().combine_chunks(), to_arrow(found), pa.nulls(len(found), pa.int64()))", "to_arrow(found)"),
    Mutation("7 a secret is found in base64", "redact", "    (re.compile(r\"[A-Za-z0-9+/_-]{4,}={0,2}\"), _from_base64),\n", ""),
    Mutation("7 a secret is found escaped", "redact", "for _ in range(4):", "for _ in range(1):"),
    Mutation("7 a short secret is a word", "redact", 'if len(secret) >= MIN_SUBSTRING_CHARACTERS else rf"(?<!\\w){re.escape(secret)}(?!\\w)"', 'if True else ""'),
    Mutation("8 filtered rows are not looked up", "lookups", " and not is_filtered(query)", ""),
    Mutation("8 a project needs an owner", "lookups", "not (has_project or PROJECT_ID.api_name in query) or OWNER in resource.schema.names", "True"),
    Mutation("8 look-ups have the fixed query", "lookups", "{**self.resource.fixed_query, **self.parameters, **project_query(project)}", "{**self.parameters, **project_query(project)}"),
    Mutation("4 duplicates of any file are noticed", "diff", "    if repeated := len(keys) - len(keys.unique()):", "    if not file.footer and (repeated := len(keys) - len(keys.unique())):"),
    Mutation("4 a resource has a key", "schema", "if not keys or len(keys)", "if len(keys)"),
    Mutation("4 a key is not nested", "schema", ' and "." not in column.field', ""),
    Mutation("bounds are rounded outwards", "filters", "dt.timedelta(microseconds=999)", "dt.timedelta()"),
    Mutation("a report stays out of a lake", "cli_reports", "        _check_outside(requested, lake)\n", "        pass\n"),
    Mutation("7 tokens in use are redacted", "auth", "list({*self._recent, *self._in_use})", "[*self._recent]"),
    Mutation("7 headers of a session are redacted", "connections", "if name.lower() not in PUBLIC_HEADERS", "if False"),
    Mutation("text of foreign files is checked", "lake_file", "            _check_text(self.uri, typed)\n", "            pass\n"),
    Mutation("5 optional fields are not missing", "records", " and not column.optional:", ":"),
    Mutation("4 links of a record are unique", "records", "rows if len(first) == rows.num_rows else rows.take(list(first.values()))", "rows"),
    Mutation("5 a key of a link is not empty", "records", "    if any(isinstance(value, list)", "    if False and any(isinstance(value, list)"),
    Mutation("7 content has no permanent URL", "signed_urls", ' and kind == "thumbnail" else None', " else None"),
    Mutation("a condition needs its value", "filters", "if needs and true.isdisjoint(needs):", "if False:"),
    Mutation("signed URLs in JSON are no change", "column_types", "pc.replace_substring_regex(texts, pattern, replacement)", "texts"),
    Mutation("a URL that is a key in JSON is compared", "signed_urls", r"""r'" \1\2'""", r"""r'"\1\2'"""),
    Mutation("7 texts have no signatures", "records", "convert([cut_signatures(value) for value in values]) if contain_urls(array) else array", "array"),
    Mutation("4 a key with a URL stays", "records", " and column.name not in resource.primary_key", ""),
    Mutation("7 keys in JSON have no signatures", "signed_urls", "cut_signatures(name) if", "name if"),
    Mutation("text after a URL stays", "signed_urls", " + url[len(url.rstrip(_PUNCTUATION)) :]", ""),
    Mutation("7 a column of signed URLs has no other query", "signed_urls", " or _QUERY.search(url)", ""),
    Mutation("7 personal data is not read by default", "schema", "if column.included_by and column.included_by not in arguments]", "if False]"),
    Mutation("7 earlier tokens are redacted", "auth", "MAX_RECENT_TOKENS = 100", "MAX_RECENT_TOKENS = 1"),
    Mutation("7 a client is not pickled", "client", "    def __reduce__(self) -> NoReturn:", "    def _reduce(self) -> NoReturn:"),
    Mutation("7 a path that may be a secret is not shown", "auth", "    raise ConfigError(problem)", "    raise ConfigError(problem + path)"),
    Mutation("7 a proxy's password is redacted", "transport", ", *self.connections.secrets]", "]"),
    Mutation("7 keys in a URI are not shown", "stores", 'text = _UNFINISHED.sub(r"\\1...", _USER.sub(r"\\1", text).partition("?")[0])', "pass"),
    Mutation("7 what waits for its upload is private", "publish", "os.path.basename(key), 0o600)", "os.path.basename(key), 0o666)"),
    Mutation("7 tracebacks have no credentials", "cli_output", "return without_credentials(super().formatException(ei))", "return super().formatException(ei)"),
    Mutation("a URI is taken whole", "stores", '    if "#" in rest:', "    if False:"),
    Mutation("a URI has a path", "stores", 'elif not path.strip("/"):', "elif False:"),
    Mutation("a transient failure of a store is recognized", "stores", "if is_remote(uri) and is_transient(error):", "if False:"),
    Mutation("a refusal of a store does not pass", "publish", "        if not is_transient(error):\n            raise\n", ""),
    Mutation("an upload is tried again", "publish", "            raise RetryableError(TransientError(f\"cannot write {place}: {reason}\"), reason) from error", "            raise TransientError(reason) from error"),
    Mutation("an unclear answer is looked into", "publish", "        if not _is_uploaded(store, key, source):", "        if True:"),
    Mutation("an object of the same size is compared", "publish", "return _digest(found) == _digest(wanted)", "return True"),
    Mutation("a store is waited for", "stores", '"request_timeout": REQUEST_TIMEOUT, ', ""),
    Mutation("what a copy answers is not believed", "publish", "if (after.size, after.mtime) == (before.size, before.mtime) or after.size != source.stat().st_size:", "if False:"),
    Mutation("an upload that is not there is noticed", "publish", "if store.get_file_info(upload).size != source.stat().st_size:", "if False:"),
    Mutation("each snapshot has its own scope", "deletions", "in_scope.append(np.full(tables[-1].num_rows, baseline.is_same_scope))", "in_scope.append(np.full(tables[-1].num_rows, True))"),
    Mutation("rows of another scope do not stay", "deletions", "if self.has_project_filter and not baseline.is_same_scope and OWNER in rows.column_names:", "if False:"),
    Mutation("look-ups that fail end", "deletions", " or error.attempts > 1):", "):"),
    Mutation("a redirect keeps the query", "response", "if lost := _lost_parameter(sent, target):", "if lost := '':"),
    Mutation("changes follow each other", "footers", "return before is None or not changes.footer or date(changes.footer, \"previous_date\") == before", "return True"),
    Mutation("a snapshot has changes beside it", "lake_reader", "if run.snapshot and not run.changes:", "if False:"),
    Mutation("changes without a snapshot are an error", "lake", "if dates and later > dates[-1]]:", "if False]:"),
    Mutation("changes are not made from nothing", "change_files", "if previous is None and earlier:", "if False:"),
    Mutation("a file with a row more is rewritten", "lake_file", 'if self.footer.get("rows", str(self.rows)) != str(self.rows):', "if False:"),
    Mutation("a filesystem without locks is said to", "lake", "return error.errno not in {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}", "return True"),
    Mutation("7 a part of a secret is redacted", "redact", "PART_CHARACTERS = 10", "PART_CHARACTERS = 30"),
    Mutation("7 a divided secret is redacted", "redact", "return MASK if is_divided else text", "return text"),
    Mutation("7 names of fields hide secrets", "run", "            redact=self._pages.redact,\n", ""),
    Mutation("a lake is read again", "lake", "else partial(call_with_retries, deadline=self.deadline)", "else call"),
    Mutation("a stalled store is left", "publish", "call(attempt, *arguments, seconds=seconds)", "attempt(*arguments)"),
    Mutation("a stalled store is not waited for at exit", "cli_exit", "    if has_unfinished_calls():", "    if False:"),
    Mutation("SIGHUP cleans up", "cli_exit", '"SIGTERM": 143, "SIGHUP": 129', '"SIGTERM": 143'),
    Mutation("nohup is heeded", "cli_exit", " and signal.getsignal(number) is not signal.SIG_IGN:", ":"),
    Mutation("stdout that is full is exit 74", "cli_exit", "        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())\n", ""),
    Mutation("rows that cannot be looked up are read again", "deletions", "self.lookups is None or ", "self.lookups is not None and "),
    Mutation("rows of composite keys are not looked up", "lookups", " and len(resource.primary_key) == 1", ""),
    Mutation("lists are compared by their strings", "column_types", "pc.binary_length(values).cast(pa.string()), values, ", '"", values, '),
    Mutation("a null in a list is no missing string", "column_types", 'pc.fill_null(texts, "-")', 'pc.fill_null(texts, "")'),
    Mutation("a null list is no empty list", "column_types", "return pc.if_else(lists.is_valid(), joined, pa.scalar(None, pa.string()))", "return joined"),
    Mutation("a missing row is looked up", "deletions", "            yield from self._look_up(missing, in_scope, self.lookups)", "            pass"),
    Mutation("a row in the trash is deleted", "lookups", ' or record.get("deletedAt"):', ":"),
    Mutation("a row that was moved is deleted", "deletions", "return (project, owner_now) in self.owners or (is_same_scope and owner_now == owner)", "return True"),
    Mutation("what was not verified stays", "deletions", "        yield from missing.filter(to_arrow(is_unverified)).combine_chunks().to_batches()", "        yield from ()"),
    Mutation("many missing rows are read again", "deletions", " or missing.num_rows > self.max_lookups)", ")"),
    Mutation("another record is an error", "lookups", "if row[self.resource.primary_key[-1]][0].as_py() != key:", "if False:"),
    Mutation("another scope is refused", "scope", "return not file.footer or _normalized(_scope_of(file, scope)) == _normalized(scope)", "return True"),
    Mutation("a snapshot that is replaced is guarded", "guard", "for baseline in baselines:", "for baseline in baselines[1:]:"),
    Mutation("a date in the future is refused", "snapshot_run", "    if day > tomorrow:", "    if False:"),
    Mutation("two files of two runs are an error", "footers", "return not (snapshot.run_id and changes.run_id) or snapshot.run_id == changes.run_id", "return True"),
    Mutation("retention that fails is a warning", "snapshots", "        except (ScenarioError, OSError, pa.ArrowException) as error:\n            reason", "        except ZeroDivisionError as error:\n            reason"),
    Mutation("only exact names are dates", "lake", "map(pattern.fullmatch, paths)", "map(pattern.search, paths)"),
    Mutation("names do not turn the direction", "redact", '    return _DIRECTION.sub("", text)', "    return text"),
    Mutation("an argument is bounded", "arguments", "    if not (minimum <= value and (maximum is None or value <= maximum)):", "    if False:"),
    Mutation("True is no number", "arguments", "    if not isinstance(value, Integral) or isinstance(value, bool):", "    if not isinstance(value, Integral):"),
    Mutation("7 the token of a request is redacted in its errors", "transport", "[*self._transport.secrets, *self._credentials]", "self._transport.secrets"),
    Mutation("a request without a project counts for each", "retry", "(self._without_project, *self._by_project.values())", "(self._without_project,)"),
    Mutation("a new project has the requests without one", "retry", "copy.copy(self._without_project)", "TokenBucket(60, lambda: 0.0)"),
    Mutation("each request has its own deadline", "retry", "        if state.attempt_number == 1:", "        if False:"),
    Mutation("the bucket has a bottom", "retry", "self._tokens + (now - self._filled) * self._per_second) - 1", "self._tokens + (now - self._filled) * self._per_second)"),
    Mutation("an incomplete second read deletes nothing", "deletions", "is_incomplete = 0 < lacking >= missing.num_rows", "is_incomplete = False"),
    Mutation("a record without a required field is unclear", "lookups", "if self.reader.missing_fields.total() > missing:", "if False:"),
    Mutation("a filter may be applied to each page", "run", "if is_filtered(query) or part.cursor:", "if part.cursor:"),
    Mutation("a date has no offset", "filters", "([T ](", "(.("),
    Mutation("an object that every record has is required", "records", "is_optional = path and column.nullable and path not in self._resource.required_objects", "is_optional = path and column.nullable"),
    Mutation("links need the list of collections", "resources", "\"collectionIds\", STRINGS, nullable=False, description", "\"collectionIds\", STRINGS, description"),
    Mutation("a snapshot keeps nothing personal", "snapshots", "if included := sorted(filters.keys() & INCLUDE_ARGUMENTS):", "if included := []:"),
    Mutation("a window is cut at a whole millisecond", "windows", "middle = floor(self.position + (end - self.position) / 2)", "middle = self.position + (end - self.position) / 2"),
    Mutation("a list in descending order is read by token", "dated_list", "            if end is None and not is_before[:1] == [True]:", "            if False:"),
    Mutation("a list that is filtered after paging is read by token", "dated_list", "if page.next_token is not None and len(page.records) < self.page_size:", "if False:"),
    Mutation("a list with rounded bounds is read by token", "dated_list", "if any(self._has(again, record) for record in missing):", "if False:"),
    Mutation("a record between two milliseconds is in one window", "window_pages", "first = 0 if cursor.start is None else bisect_left(moments, cursor.start)", "first = 0"),
    Mutation("a full millisecond is read until nothing is deleted meanwhile", "window_pages", "if is_one_page or (before is not None and before <= keys):", "if True:"),
    Mutation("no more requests are under way than workers", "schedule", "if len(self._active) + self._probing < self.workers:", "if True:"),
    Mutation("rows that are created after an interrupted run are read", "schedule", "is_last = part.is_last and whole.end is not None", "is_last = part.is_last"),
    Mutation("a project whose rows are used is not skipped", "schedule", "            if project.is_used:\n                raise error\n", ""),
    Mutation("a forked process does not wait for the threads of its parent", "schedule", "if os.getpid() != self._process:", "if False:"),
    Mutation("a list that ignores its bounds has no row outside of them", "part_reader", "batch if cursor else _inside(batch, self.window, self.date_field)", "batch"),
    Mutation("3 max_pages counts the pages of all windows", "part_reader", "if project.pages > self.options.max_pages:", "if False:"),
    Mutation("no thread reads on after the end of a run", "part_reader", "            self.schedule.changed.notify_all()\n        if self.schedule.stopped.is_set():\n            raise StoppedError", "            self.schedule.changed.notify_all()"),
    Mutation("4 parts that overlap have each row once", "parallel", "rows = seen.drop_duplicates(batch, found)", "rows = batch"),
    Mutation("7 parts are private", "parts", "os.O_EXCL, 0o600)", "os.O_EXCL, 0o644)"),
    Mutation("7 a folder that others can change has no parts", "parts", "stat.S_IMODE(folder.stat().st_mode) & 0o077", "False"),
    Mutation("7 parts are not written through a link", "parts", "        if folder.is_symlink():", "        if False:"),
    Mutation("parts of another scan are not used", "parts", "if part and is_same and _is_recent(part, resume_within)", "if part and _is_recent(part, resume_within)"),
    Mutation("a part with other rows than were written is not used", "parts", "return part if part.file == path.name and part.digest == _hash_file(path) else None", "return part"),
    Mutation("a part with another window than was written is not used", "parts", "        if digest != _hash_text(text):\n            return None\n", ""),
    Mutation("a disk that loses rows of a part is noticed", "parts", "if found != self._rows:", "if False:"),
    Mutation("two runs do not use the same parts", "parts", "        stack.enter_context(FileLock(folder / \".lock\", timeout=0, mode=0o600))\n", ""),
    Mutation("partitions are cut at whole milliseconds", "partitions", "cuts.append(floor(start + (end - start) * share))", "cuts.append(start + (end - start) * share)"),
    Mutation("parts of another account are not used", "source", "self.scope(client), client.account, ", "self.scope(client), "),
    Mutation("parts of all projects of an unknown account are not kept", "source", "if self.has_parts and is_known else None", "if self.has_parts else None"),
    Mutation("at most eight projects are read at once by default", "source", "min(DEFAULT_WORKERS, len(projects))", "len(projects)"),
    Mutation("parts of another date are not used", "snapshots", "resume_within, str(options.day), str(incremental)", "resume_within, str(incremental)"),
    Mutation("only a project that the key may not read is skipped", "projects", "return skip_forbidden and error.status == 403", "return skip_forbidden"),
    Mutation("projects of teams are read", "projects", '            found.update(_ids("teams", [Page(listed if isinstance(listed, list) else [], None, 0)]))\n', "            pass\n"),
    Mutation("a record that is listed late is read", "incremental", "MIN_LOOKBACK + dt.timedelta(seconds", "dt.timedelta(seconds"),
    Mutation("a watermark of the future is not used", "incremental", "if watermark is None or watermark > now:", "if watermark is None:"),
    Mutation("a row is not replaced by an older version", "incremental", 'pc.greater(last.column("updated_at"), new["updated_at"].take(positions))', 'pc.less(positions, 0)'),
    Mutation("the oldest unfinished job is read again", "incremental", "start - dt.timedelta(milliseconds=1))}", "start)}"),
    Mutation("all jobs since the last snapshot are read", "incremental", "start = min(start, max(", "start = min(now, max("),
    Mutation("a project that was skipped is read completely", "snapshot_run", "        if not ({*skipped_before} & {*reader.projects}) - {*run.skipped_projects}:", "        if True:"),
    Mutation("a run that is resumed has the watermark of its start", "snapshot_run", "    now = reader.store.setdefault(\n        \"watermark\", lambda: server_time(reader.source, reader.client, reader.counts).isoformat()\n    )\n", "    now = server_time(reader.source, reader.client, reader.counts).isoformat()\n"),
    Mutation("a second read uses no part of the first", "snapshot_run", '        with temporary_parts() as store:\n            run = self.source.run(', "        for store in [self.store]:\n            run = self.source.run("),
    Mutation("rows of a skipped project are not deleted", "deletions", "read = [each for each in self.projects if each not in self.skipped_projects]", "read = [*self.projects]"),
    Mutation("rows that are carried over are not lacking in a second read", "deletions", "            self._carried.add(batch)\n", "            self._listed.add(batch)\n"),
    Mutation("4 a row that is carried over is listed once", "deletions", "yield new.filter(self._carried.lacks(_keys(self.resource, new)).combine_chunks())", "yield new"),
    Mutation("Polars: a bound loses no row", "polars_source", "MARGIN = timedelta(seconds=2)", "MARGIN = timedelta(0)"),
    Mutation("Polars: the first rows come before the predicate", "polars_source", "if predicate is None or n_rows is not None else", "if predicate is None else"),
    Mutation("Polars: one of two predicates may not have the bound", "polars_source", "if is_and else left.keys() & right.keys()", ""),
    Mutation("Polars: a bound does not prevent windows", "polars_source", "if filtered.is_windowed == source.is_windowed:", "if True:"),
    Mutation("Polars: the filters of the scan stay", "polars_source", " or filters[name].api_name in source.query:", ":"),
    Mutation("the head of windows has their order", "source", "(ORDER_OF_WINDOWS if source.is_windowed else {})", "{}"),
]  # fmt: skip


def notices(mutation: Mutation, copy: Path) -> bool:
    """Whether a suite fails with the mutation in place; the copy is as it was afterwards."""
    path = copy / "scenario_etl" / f"{mutation.module}.py"
    right = path.read_text()
    if right.count(mutation.old) != 1:
        raise click.ClickException(f"{mutation.rule}: stands {right.count(mutation.old)} times in {mutation.module}.py")
    path.write_text(right.replace(mutation.old, mutation.new))
    try:
        name = Path(mutation.module).name
        suites = filter(None, [tests_of(name, *MORE_TESTS.get(name, [])), *SUITES])
        return any(failure(suite, copy) for suite in suites)
    finally:
        path.write_text(right)


def failure(suite: list[str], copy: Path) -> str | None:
    """Return what a suite says where it fails, or never ends; None where it passes."""
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", *suite]
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=MAX_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{suite} did not end within {MAX_SECONDS} s"
    return done.stdout if done.returncode else None


@click.command()
@click.argument("words", default="")
def main(words: str) -> None:
    """Make every mutation whose rule has WORDS in it; exits with 1 where one goes unnoticed."""
    chosen = [mutation for mutation in MUTATIONS if words in mutation.rule]
    unnoticed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "*cache*", "__pycache__"))
        if said := next(filter(None, (failure(suite, copy) for suite in SUITES)), None):
            raise click.ClickException(f"a suite fails without any mutation:\n{said}")
        for mutation in chosen:
            noticed = notices(mutation, copy)
            unnoticed += not noticed
            click.echo(f"{'noticed' if noticed else 'UNNOTICED':10} {mutation.rule} ({mutation.module}.py)")
    click.echo(f"{len(chosen) - unnoticed} of {len(chosen)} mutations noticed")
    sys.exit(bool(unnoticed))


if __name__ == "__main__":
    main()
