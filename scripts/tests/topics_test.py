"""Every section of docs/troubleshooting.md that a finding of `larder doctor` points to is there."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Topics(unittest.TestCase):
    def test_each_has_its_section(self):
        page = (ROOT / "docs/troubleshooting.md").read_text()
        sections = {"#" + title.strip().lower().replace(" ", "-") for title in re.findall(r"^## (.+)$", page, re.M)}
        sources = [ROOT / "libs/transport/uds/src/examine.cpp", ROOT / "services/cli/core/checkup.cpp"]
        sources.append(ROOT / "services/cli/verbs/doctor.cpp")
        topics = {topic for source in sources for topic in re.findall(r'"(#[a-z-]+)"', source.read_text())}
        self.assertIn("#no-agent", topics)
        self.assertEqual(topics - sections, set())


if __name__ == "__main__":
    unittest.main()
