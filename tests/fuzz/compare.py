"""What other readers find in archives: compare.py FOLDER, with N.zip beside N.list (name in hex, size, SHA-256)."""

import collections, hashlib, pathlib, subprocess, sys
import pyzipper

PASSWORD = b"sandbox password"


def pyzip(path, names):
    with pyzipper.AESZipFile(path) as archive:
        archive.setpassword(PASSWORD)
        return {name: archive.read(name) for name in names if not name.endswith("/")}


def run(*argv):
    done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        words = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise ValueError(words[-1] if words else f"exit {done.returncode}")
    return done.stdout


def libarchive(path, names):
    # It gives all entries in one stream.
    return {None: run("bsdtar", "-xOf", str(path), "--passphrase", PASSWORD.decode())}


def seven(path, names):
    return {None: run("7z", "x", "-so", "-bd", f"-p{PASSWORD.decode()}", str(path))}


def main(folder):
    different = 0
    for reader in (pyzip, libarchive, seven):
        same, refused, absent = 0, collections.Counter(), 0
        for path in sorted(pathlib.Path(folder).glob("*.zip")):
            rows = [line.split(" ") for line in path.with_suffix(".list").read_text().splitlines()]
            ours = {bytes.fromhex(name).decode(): (int(size), sha) for name, size, sha in rows}
            try:
                theirs = reader(path, list(ours))
            except Exception as error:
                refused[f"{type(error).__name__}: {error}"[:90]] += 1
                continue
            if None in theirs:
                # Of one entry the bytes, of several the sum of their sizes.
                data = theirs[None]
                ok = len(data) == sum(size for size, _ in ours.values())
                if len(ours) == 1:
                    ok = hashlib.sha256(data).hexdigest() == next(iter(ours.values()))[1]
            else:
                found = {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in theirs.items()}
                ok = all(ours.get(name) == value for name, value in found.items())
                absent += sum(name not in found and not name.endswith("/") for name in ours)
            if ok:
                same += 1
            else:
                different += 1
                print(f"{path}: {reader.__name__} finds something else", file=sys.stderr)
        print(f"{reader.__name__}: {same} the same, {sum(refused.values())} refused, {absent} entries not given")
        # One that reads nothing at all compares nothing.
        different += same == 0
        for why, count in refused.most_common(8):
            print(f"    {count:5} {why}")
    return 1 if different else 0


sys.exit(main(sys.argv[1]))
