"""What other readers find in archives: compare.py FOLDER, with N.zip beside N.list (name in hex, size, SHA-256).

Each reader has to find as many entries as ours, and in each of them the same bytes, by its name. What it refuses is
counted by its reason. These are known, and none of them is ours to mend:

pyzipper    "compression type 93": it knows no zstd. "not a zip file", "Invalid argument": it looks for the end of the
            directory by its signature alone, and takes one inside the archive's comment for it. "Corrupt extra field":
            it refuses an extra field that says it is longer than all of them; ours passes over it, as 7-Zip does, and as
            archives in the field need it, for whatever it needs from such a field is then missing and refused.
libarchive  "Unknown frame descriptor": it decrypts no entry that is packed by zstd, up to 3.6.2 at least. "Extra data
            overflow": as pyzipper. "Unrecognized archive format": an end of the directory inside the comment again, of
            an archive behind a program.
7-Zip       "Is not archive": an archive without an entry, which it knows only by an end of the directory at its very
            beginning, and here a zip64 end or a program that unpacks itself stands before that. By APPNOTE 4.3.1 and
            4.3.6 it is an archive, and both others take it.
"""

import collections, hashlib, os, pathlib, re, subprocess, sys
import pyzipper

PASSWORD = "sandbox password"


class Absent(Exception):
    """The reader knows no entry of that name."""


def run(*argv):
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, env=environment)
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace")
        # The last line of bsdtar says only that there was one before it, and each begins with a name.
        words = [w.strip() for w in said.splitlines() if w.strip() and "delayed from previous errors" not in w]
        raise ValueError(re.sub(r"^.*?: (?=[A-Z][a-z]+ )", "", words[-1]) if words else f"exit {done.returncode}")
    return done.stdout


def why(error):
    return f"{type(error).__name__}: {error}"[:100]


class Pyzipper:
    def count(self, path):
        with pyzipper.AESZipFile(path) as archive:
            return len(archive.namelist())

    def read(self, path, name):
        with pyzipper.AESZipFile(path) as archive:
            archive.setpassword(PASSWORD.encode())
            return archive.read(name)


class Libarchive:
    def count(self, path):
        # What could end a line is escaped in names.
        return len(run("bsdtar", "-tf", str(path)).splitlines())

    def read(self, path, name):
        pattern = re.sub(r"[*?\[\]^$]", r"\\\g<0>", name)
        try:
            return run("bsdtar", "-xOf", str(path), "--passphrase", PASSWORD, "--", pattern)
        except ValueError as error:
            raise Absent if "Not found in archive" in str(error) else error


class Seven:
    # Names stand for themselves alone.
    options = ("-bd", "-spd", f"-p{PASSWORD}")

    def count(self, path, *only):
        listed = run("7z", "l", "-ba", "-slt", *self.options, *only, "--", str(path))
        return sum(line.startswith(b"Path = ") for line in listed.split(b"\n"))

    def read(self, path, name):
        data = run("7z", "x", "-so", *self.options, f"-i!{name}", "--", str(path))
        # That there is none of that name is no failure to it.
        if not data and not self.count(path, f"-i!{name}"):
            raise Absent
        return data


def main(folder):
    different = 0
    for reader in (Pyzipper(), Libarchive(), Seven()):
        who = type(reader).__name__.lower()
        archives, same, absent, refused = 0, 0, 0, collections.Counter()

        def differs(what):
            nonlocal different
            different += 1
            print(f"{who}: {what}", file=sys.stderr)

        for path in sorted(pathlib.Path(folder).glob("*.zip")):
            rows = [line.split(" ") for line in path.with_suffix(".list").read_text().splitlines()]
            ours = {bytes.fromhex(name).decode(): (int(size), sha) for name, size, sha in rows}
            try:
                count = reader.count(path)
            except Exception as error:
                refused["archive", why(error)] += 1
                continue
            archives += 1
            if count != len(ours):
                differs(f"{path} has {count} entries, and {len(ours)} for us")
            for name, (size, sha) in ours.items():
                # Who asks for a folder may get all that lies in it.
                if name.endswith("/") or any(other.startswith(f"{name}/") for other in ours):
                    continue
                try:
                    data = reader.read(path, name)
                except Absent:
                    absent += 1
                    continue
                except Exception as error:
                    refused["entry", why(error)] += 1
                    continue
                if hashlib.sha256(data).hexdigest() == sha:
                    same += 1
                else:
                    differs(f"{path}, {name!r}: {len(data)} bytes, and not the {size} that we find")
        print(f"{who}: {archives} archives listed, {same} entries the same, {absent} not given, refused:")
        for (what, reason), count in refused.most_common():
            print(f"    {count:5} {what}: {reason}")
        # One that reads nothing at all compares nothing.
        if not same:
            differs("nothing was read")
    return 1 if different else 0


sys.exit(main(sys.argv[1]))
