#!/usr/bin/env python3
"""The loop of a worker in a page, with the standard library alone: claim, run, keep the lease, report.

    python3 examples/worker.py http://127.0.0.1:8710

It ends when there has been nothing to do for 30 s. `signalbox worker` does the same with timeouts, bounds on what
programs print, retries and several programs at once.
"""
import json, os, signal, subprocess, sys, threading, urllib.request

SERVER = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8710"
KEY = os.environ.get("SIGNALBOX_KEY")
WAIT = os.environ.get("WAIT", "30")  # seconds that a claim waits for work
HEARTBEAT = float(os.environ.get("HEARTBEAT", "20"))  # seconds between heartbeats: a third of the lease
TOOLS = {  # what a tool is, is said here; `command` and `args` of a request are for information
    "git": lambda prompt: ["git", "--no-pager", "diff", "--stat", "HEAD"],
    "echo": lambda prompt: ["printf", "%s\\n", prompt],  # not `echo`, which takes «-n» for an option
}


def post(path, body, **headers):
    headers |= {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {KEY}"} if KEY else {})
    request = urllib.request.Request(f"{SERVER}/v1/execution-requests{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=90) as answer:
        return json.loads(answer.read() or b'{"items": []}')  # 204: there is nothing to do


def keep_lease(path, token, program, ended):
    while not ended.wait(HEARTBEAT):
        try:
            told = post(f"{path}/heartbeat", token)
            if told["cancel_requested"] or told["lease_lost"]:
                os.killpg(program.pid, signal.SIGTERM)
        except Exception as error:  # whatever it was: the lease lasts for the next one
            print(f"A heartbeat failed: {error}", file=sys.stderr)


def carry_out(claimed):
    request, token = claimed["execution_request"], {"lease_token": claimed["lease_token"]}
    path, ended = f"/{request['request_id']}", threading.Event()
    argv = TOOLS[request["assignment"]["tool_id"]]((request["input"] or {}).get("prompt") or "")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    try:
        program = subprocess.Popen(argv, start_new_session=True, **pipes)
    except (OSError, ValueError) as error:  # it is not there, or the prompt is too long or none for an argument
        post(f"{path}/fail", token | {"error": {"class": "not_started", "message": str(error)[:1000]}})
        return None
    with program:
        threading.Thread(target=keep_lease, args=(path, token, program, ended), daemon=True).start()
        out, err = (text[-20_000:].decode(errors="replace").replace("\0", "\ufffd") for text in program.communicate())
    ended.set()
    code = program.returncode
    report = token | {"stdout_tail": out, "stderr_tail": err} | ({"exit_code": code} if code >= 0 else {})
    if code == 0:
        return post(f"{path}/complete?claim_next=true", report)["next"]
    post(f"{path}/fail", report | {"error": {"class": "tool_error" if code > 0 else "killed"}})
    return None


while items := post("/claim", {"worker_id": "worker.py", "tools": list(TOOLS)}, Prefer=f"wait={WAIT}")["items"]:
    claimed = items[0]
    while claimed:
        claimed = carry_out(claimed)
