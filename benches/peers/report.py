"""What the results say, for people: on standard error, so that standard output is JSON only."""

import os
import statistics
import sys

# Of the machine's cores. A client that takes more leaves its server too few.
CLIENT_SHARE_MAX = 0.5
# A file that is overwritten is synced faster than the one of the yardstick, which grows; but not by so much.
DISK_FACTOR_MAX = 4


def table(kind, results):
    """Medians of all runs."""
    say(f"{'peer':<18}{kind.size:>11}" + "".join(f"{column:>19}" for column in kind.columns)
        + (f"  {kind.remark}" if kind.remark else ""))
    measured = [result for result in results if "error" not in result]
    cases = {(result["peer"], result[kind.size]): result for result in measured}
    for peer, size in sorted(cases, key=lambda case: (case[1], case[0])):
        line = f"{peer:<18}{size:>11}"
        for column in kind.columns:
            values = [result[column] for result in measured
                      if (result["peer"], result[kind.size]) == (peer, size)
                      and result.get(column) is not None]
            line += f"{statistics.median(values):>19,.1f}" if values else f"{kind.absent:>19}"
        say(line + (f"  {cases[peer, size][kind.remark]}" if kind.remark else ""))


def skipped(peers):
    for peer in sorted(peers):
        say(f"{peer:<18}SKIPPED: something it needs is not there, see above")


def remarks(results):
    """What somebody who reads the table has to know."""
    for result in results:
        where = f"{result['peer']}, run {result['run'] + 1}"
        if result.get("client_cores", 0) > CLIENT_SHARE_MAX * (os.cpu_count() or 1):
            say(f"{where}: its client kept {result['client_cores']} of {os.cpu_count()} cores busy "
                "and may be what was measured")
        pushes = result.get("push_per_s") or 0
        if result.get("durable") and pushes > DISK_FACTOR_MAX * result["fdatasync_per_s"]:
            say(f"{where}: {pushes / result['fdatasync_per_s']:.1f} pushes a sync of the disk: "
                "either the disk changed its speed meanwhile or it is not durable")
    ratio(results, "push_per_s", "roda", "fdatasync_per_s")
    ratio(results, "push_many_per_s", "sqlite", "push_many_per_s")


def ratio(results, column, other, other_column):
    """Roda's figure by another of the same run, as the median of the runs."""
    by_run = {(result["peer"], result["run"]): result for result in results if "error" not in result}
    ratios = [result[column] / by_run[other, run][other_column]
              for (peer, run), result in by_run.items()
              if peer == "roda" and result.get(column) and (other, run) in by_run
              and by_run[other, run].get(other_column)]
    if ratios:
        whose = "" if other == "roda" else f" of {other}"
        say(f"roda: {column} is {statistics.median(ratios):.2f} of {other_column}{whose}")


def say(text):
    print(text, file=sys.stderr, flush=True)
