#!/usr/bin/env python3
"""Recomputes the hash chain of a run's events, without trusting the server that keeps them.

Reads the answers of GET /v1/runs/{run_id}/events from standard input, page after page. Prints "ok", or the first
run_seq that does not hold, and then exits with 1. Only --last-hash can tell that the end of the chain is missing."""
import argparse, hashlib, json, sys
from decimal import Decimal

BOUND = "actor event_id from http_request_id kind payload_hash run_id run_seq step_attempt_id to ts".split()
sha256 = lambda text: hashlib.sha256(text.encode()).hexdigest()

def number(value):  # as ECMAScript writes it (RFC 8785, 3.2.2.3)
    _, digits, exponent = Decimal(repr(float(value))).normalize().as_tuple()
    point, digits = len(digits) + exponent, "".join(map(str, digits))
    if 0 < point <= 21: text = digits[:point].ljust(point, "0") + ("." + digits[point:]).rstrip(".")
    elif -6 < point <= 0: text = "0." + "0" * -point + digits
    else: text = (digits[0] + "." + digits[1:]).rstrip(".") + f"e{point - 1:+d}"
    return "-" * (value < 0) + text

def canonical(value):  # RFC 8785: no spaces, keys in the order of their UTF-16 code units
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(canonical(key) + ":" + canonical(value[key]) for key in keys) + "}"
    if isinstance(value, list): return "[" + ",".join(map(canonical, value)) + "]"
    if type(value) in (int, float): return number(value)
    return json.dumps(value, ensure_ascii=False)

def holds(event, place, seq, previous):
    if event["run_seq"] != place or event["seq"] <= seq: return False
    if event["hash"] != sha256(previous + canonical({name: event[name] for name in BOUND})): return False
    payload, salt = event["payload"], event["payload_salt"]
    return payload is salt is None or event["payload_hash"] == sha256(salt + canonical(payload))  # None: erased

def first_bad(events, last_hash):
    seq, previous = 0, sha256(f"signalbox/event/v1\n{events[0].get('run_id') or 'system'}")
    for place, event in enumerate(events, 1):
        try:
            if not holds(event, place, seq, previous): return place
        except (KeyError, TypeError, ValueError): return place  # not even an event
        seq, previous = event["seq"], event["hash"]
    return len(events) + 1 if last_hash not in (None, previous) else None

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--last-hash", help="the hash that the chain has to end with")
    last_hash, text, events = parser.parse_args().last_hash, sys.stdin.read().strip(), []
    while text:
        page, end = json.JSONDecoder().raw_decode(text)
        if "items" not in page: parser.error(f"this is no page of events: {text[:200]}")
        events += page["items"]
        text = text[end:].strip()
    bad = first_bad(events, last_hash) if events else 1
    print(f"bad: run_seq {bad} does not hold" if bad else f"ok: {len(events)} events, the last hash is {events[-1]['hash']}")
    sys.exit(1 if bad else 0)

if __name__ == "__main__": main()
