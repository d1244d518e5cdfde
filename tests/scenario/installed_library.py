#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `meson install` brings is usable from outside: the header alone, libmuster shared and static, pkg-config."""

import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))

import tap

BUILD = pathlib.Path(os.environ["MUSTER_BIN"]).parent.parent.parent
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
PROGRAM = """
#include <muster.h>
#include <stdio.h>

/* Names that libmuster uses inside: the program may have its own. */
void buf_append(void);
void buf_append(void)
{
}

int main(void)
{
    buf_append();
    return puts(muster_version()) < 0;
}
"""


def run(*command, **options):
    """The output of a command that must succeed."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stdout}"
    return result.stdout


class Installation:
    def __init__(self, folder):
        self.folder = folder
        run("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", folder)
        self.library = next(folder.rglob("libmuster.a")).parent
        # Prefixes in the .pc file are those of the real place.
        self.env = {
            **os.environ,
            "LD_LIBRARY_PATH": str(self.library),
            "PKG_CONFIG_PATH": str(self.library / "pkgconfig"),
            "PKG_CONFIG_SYSROOT_DIR": str(folder),
            "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1",
        }
        self.source = folder / "program.c"
        self.source.write_text(PROGRAM)

    def pkg_config(self, *what):
        return run("pkg-config", *what, "muster", env=self.env).split()

    def header_alone(self, *compiler):
        include = next(self.folder.rglob("muster.h"))
        run(*compiler, *STRICT, "-fsyntax-only", "-", input=f'#include "{include}"\n')

    def header_is_c99(self):
        self.header_alone("cc", "-x", "c", "-std=c99")

    def header_is_cxx(self):
        self.header_alone("c++", "-x", "c++", "-std=c++98")

    def only_own_symbols(self, *symbols_of):
        names = [line.split()[-1].split("@")[0] for line in run("nm", *symbols_of).splitlines() if " T " in line]
        assert names, "no symbols at all"
        assert all(name.startswith("muster_") for name in names), names

    def shared_hides_its_insides(self):
        self.only_own_symbols("--dynamic", "--defined-only", self.library / "libmuster.so")

    def static_hides_its_insides(self):
        self.only_own_symbols("--defined-only", "--extern-only", self.library / "libmuster.a")

    def program_says_version(self, *libraries):
        program = self.folder / "program"
        run("cc", self.source, "-o", program, *self.pkg_config("--cflags"), *libraries)
        assert run(program, env=self.env) == self.pkg_config("--modversion")[0] + "\n"

    def program_links_shared(self):
        self.program_says_version(*self.pkg_config("--libs"))
        assert "libmuster.so.0" in run("ldd", self.folder / "program", env=self.env)

    def program_links_static(self):
        libraries = self.pkg_config("--libs", "--static")
        self.program_says_version(*("-l:libmuster.a" if name == "-lmuster" else name for name in libraries))
        assert "libmuster" not in run("ldd", self.folder / "program", env=self.env)

    def unit_starts_the_program(self):
        unit = next(self.folder.rglob("muster.service")).read_text()
        command = next(line for line in unit.splitlines() if line.startswith("ExecStart=")).split("=", 1)[1].split()[0]
        assert (self.folder / command.lstrip("/")).stat().st_mode & 0o111, command


def main():
    with tempfile.TemporaryDirectory() as folder:
        installation = Installation(pathlib.Path(folder))
        return tap.main([
            ("the header alone is plain C99", installation.header_is_c99),
            ("the header alone is C++", installation.header_is_cxx),
            ("the shared library shows only muster_*", installation.shared_hides_its_insides),
            ("the static library shows only muster_*", installation.static_hides_its_insides),
            ("a program links the shared library by pkg-config", installation.program_links_shared),
            ("a program links the static library by pkg-config", installation.program_links_static),
            ("the systemd unit starts the installed program", installation.unit_starts_the_program),
        ])


if __name__ == "__main__":
    sys.exit(main())
