"""docs/troubleshooting.md has what people are sent there for: the sections that findings of `larder doctor` name, and every
reason that an error has."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTING = {"tests", "testing", "fuzz", "bench"}
# Words of this form in the code that are no reasons.
OTHER_WORDS = {
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "RLIMIT_AS",
    "SERVICE_HOST",
    "SERVICE_PORT",
    "SO_PEERCRED",
    "XDG_RUNTIME_DIR",
}
TWO_WORDS = re.compile(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"')
# One word is a reason where an error is made of it.
OF_AN_ERROR = re.compile(
    r'\b(?:(?:Make)?Error|InvalidArgument|Denied|Refuse)\(\s*(?:[\w:.]+(?:\(\))?,\s*)?"([A-Z][A-Z0-9_]*)"'
)
OF_AN_EXCEPTION = re.compile(r'\breason="([A-Z][A-Z0-9_]*)"')


def sources():
    """The texts of the code of libs and services, without their tests."""
    for folder in ("libs", "services"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".cpp", ".h", ".py") and not TESTING & set(path.relative_to(ROOT).parts):
                yield path.read_text()


def reasons():
    codes = set(re.findall(r'StatusCode::\w+, "(\w+)"', (ROOT / "libs/base/src/error_table.cpp").read_text()))
    found = set()
    for text in sources():
        found |= {word for word in TWO_WORDS.findall(text) if not word.startswith("LARDER_")} - codes - OTHER_WORDS
        found |= set(OF_AN_ERROR.findall(text)) | set(OF_AN_EXCEPTION.findall(text))  # also one that is a code's name
    return found


class Troubleshooting(unittest.TestCase):
    def setUp(self):
        self.page = (ROOT / "docs/troubleshooting.md").read_text()

    def test_each_topic_has_its_section(self):
        titles = re.findall(r"^## (.+)$", self.page, re.M)
        sections = {"#" + title.strip().lower().replace(" ", "-") for title in titles}
        topics = {topic for text in sources() for topic in re.findall(r'"(#[a-z-]+)"', text)}
        self.assertIn("#no-agent", topics)
        self.assertEqual(topics - sections, set())
        self.assertEqual(set(re.findall(r"\]\((#[^)]*)\)", self.page)) - sections, set())

    def test_each_reason_has_its_row(self):
        rows = re.findall(r"^\| ([^|]*`[A-Z][^|]*) \|", self.page, re.M)
        explained = {reason for row in rows for reason in re.findall(r"`([A-Z][A-Z0-9_]+)`", row)}
        self.assertEqual(reasons() - explained, {"EACCES", "ENOMEM"})  # of the system's, all are explained as one

    def test_it_names_no_reason_that_no_error_has(self):
        self.assertEqual(set(re.findall(r"`([A-Z][A-Z0-9_]+)`", self.page)) - reasons(), set())


if __name__ == "__main__":
    unittest.main()
