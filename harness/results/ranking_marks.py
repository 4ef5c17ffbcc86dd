"""What a number of retrieval owes to other queries, in a few words."""

from collections.abc import Mapping

from harness.results.result_row import ResultRow


def ranking_mark(row: ResultRow) -> str:
    """Over what scores were normalised, and whether that makes them transductive; empty where
    every query was ranked by itself."""
    facts = row.provenance.get("normalised")
    if not isinstance(facts, Mapping):
        return ""
    rule, bank = facts.get("rule"), facts.get("bank")
    counts = f"{facts.get('bank_captions')} captions and {facts.get('bank_videos')} videos"
    told = f"{rule} over {counts} of {bank}"
    if row.provenance.get("transductive") is False:
        return told
    return f"transductive: {told}, the other queries among them"
