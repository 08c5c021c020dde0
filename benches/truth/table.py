#!/usr/bin/env python3
"""table.py FILE: makes the truth table of the drills in FILE, in Markdown.

A false pass is a drill with a defect in which no check of its mechanism fails
or is inconclusive; a false fail is a check that fails without a defect, or
with one of another mechanism.
"""
import collections
import json
import os
import sys


def drills(path):
    """The last drill of each defect, state and seed."""
    found = {}
    for line in open(path):
        drill = json.loads(line)
        found[drill["defect"], drill["healed"], drill["seed"]] = drill
    return list(found.values())


def ours(drill):
    return [check for check in drill["checks"] if check["kind"] == drill["mechanism"]]


def told(drill):
    """Whether a defect was told: it fails, is open, or went unnoticed."""
    verdicts = {check["verdict"] for check in ours(drill)}
    if "fail" in verdicts:
        return "caught"
    return "inconclusive" if "inconclusive" in verdicts else "missed"


def main():
    all_drills = drills(sys.argv[1])
    broken = [drill for drill in all_drills if not drill["healed"]]
    healthy = [drill for drill in all_drills if drill["healed"]]
    seeds = {drill["seed"] for drill in all_drills}
    rows = collections.defaultdict(collections.Counter)
    for drill in broken:
        rows[drill["defect"]][told(drill)] += 1
    checks = [check for drill in healthy for check in drill["checks"]]
    failed = [check for check in checks if check["verdict"] == "fail"]
    others = [
        (drill, check) for drill in broken for check in drill["checks"]
        if check["verdict"] == "fail" and check["kind"] != drill["mechanism"]
    ]
    unsure = [drill for drill in healthy if any(c["verdict"] == "inconclusive" for c in drill["checks"])]
    missed = sum(row["missed"] for row in rows.values())
    print("# Truth table of the lab\n")
    print(f"`benches/truth/run FILE {len(seeds)}` on {os.cpu_count()} cores, all on one machine: "
          f"{len(broken)} drills with a defect, {len(healthy)} without, seeds {min(seeds)} to {max(seeds)}.\n")
    print("| | seen | wanted |\n| --- | --- | --- |")
    print(f"| false passes: a defect that no check of its mechanism noticed | {missed} of {len(broken)} drills | 0 |")
    share = 100 * len(failed) / max(len(checks), 1)
    print(f"| false fails: checks that fail without a defect | {len(failed)} of {len(checks)} ({share:.2f} %) | ≤ 1 % |")
    print(f"| failing checks of a mechanism that had no defect, in drills of another's | {len(others)} | 0 |")
    print(f"| drills without a defect that stayed inconclusive | {len(unsure)} of {len(healthy)} | |\n")
    print("| defect | caught | inconclusive | missed |\n| --- | --- | --- | --- |")
    for defect, row in sorted(rows.items()):
        print(f"| {defect} | {row['caught']} | {row['inconclusive']} | {row['missed']} |")
    reasons = collections.Counter()
    for drill in all_drills:
        for check in drill["checks"]:
            if check["verdict"] == "inconclusive":
                reasons[drill["defect"] + (" healed" if drill["healed"] else ""), check["id"], check["why"].split(":")[0][:90]] += 1
    print("\n## Inconclusive\n\n| drill | check | why | times |\n| --- | --- | --- | --- |")
    for (drill, check, why), n in sorted(reasons.items()):
        print(f"| {drill} | {check} | {why.replace('|', '/')} | {n} |")
    wrong = [(drill, check) for drill in healthy for check in drill["checks"] if check["verdict"] == "fail"] + others
    if wrong:
        print("\n## Wrong\n\n| drill | seed | check | why |\n| --- | --- | --- | --- |")
        for drill, check in wrong:
            state = " healed" if drill["healed"] else ""
            print(f"| {drill['defect']}{state} | {drill['seed']} | {check['id']} | {check['why'].replace('|', '/')} |")


main()
