"""Types into a shell on a terminal of its own, as somebody at a keyboard would.

terminal.py FILE KEYS PROGRAM…: starts the program, waits for its prompt `READY> `, types the keys (with Python's escapes)
and waits until the file is there, which the keys have the shell write. What the terminal showed goes to standard error.
"""

import os
import pty
import select
import sys
import time

file, keys, program = sys.argv[1], sys.argv[2], sys.argv[3:]
child, terminal = pty.fork()
if child == 0:
    os.execvp(program[0], program)
shown = b""
typed = False
until = time.monotonic() + 60
while time.monotonic() < until and not os.path.exists(file):
    if select.select([terminal], [], [], 0.02)[0]:
        try:
            shown += os.read(terminal, 65536)
        except OSError:
            break
    if not typed and b"READY> " in shown:
        os.write(terminal, keys.encode().decode("unicode_escape").encode("latin-1").decode().encode())
        typed = True
os.close(terminal)
sys.stderr.write(shown.decode(errors="replace"))
