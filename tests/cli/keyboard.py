"""Starts a program on a terminal of its own and answers its questions, as somebody at a keyboard would.

keyboard.py QUESTION ANSWER [QUESTION ANSWER …] -- PROGRAM…: waits for each question and types its answer. What the terminal
showed goes to standard output; the exit code is that of the program.
"""

import os
import pty
import select
import sys
import time

split = sys.argv.index("--")
pairs, program = sys.argv[1:split], sys.argv[split + 1:]
questions = list(zip(pairs[::2], pairs[1::2]))
child, terminal = pty.fork()
if child == 0:
    os.execvp(program[0], program)
shown, seen = b"", 0
until = time.monotonic() + 60
while time.monotonic() < until:
    if select.select([terminal], [], [], 0.05)[0]:
        try:
            more = os.read(terminal, 65536)
        except OSError:
            break
        if not more:
            break
        shown += more
    if questions and questions[0][0].encode() in shown[seen:]:
        seen = len(shown)
        # The terminal stops its echo just after the question.
        time.sleep(0.3)
        os.write(terminal, questions.pop(0)[1].encode() + b"\n")
sys.stdout.buffer.write(shown)
sys.stdout.flush()
if questions:
    sys.exit(f"never asked: {questions[0][0]}")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
