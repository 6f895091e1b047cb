#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "core/context.h"
#include "core/failure.h"
#include "larder/base/file.h"
#include "larder/base/nearest.h"
#include "larder/base/status.h"
#include "larder/cli_dev/settings.h"
#include "larder/config/render.h"
#include "larder/config/resolve.h"
#include "verbs/all.h"

namespace larder::cli {
namespace {

// Somebody whose settings a file may hold.
struct Reader {
  std::string name;
  std::vector<std::string> keys;  // at the top of the file
  std::function<absl::Status(const std::string& file)> check;
};

std::vector<Reader> Readers() {
  std::vector<Reader> readers = {
      {.name = "dev", .keys = cli_dev::ServiceNames(), .check = cli_dev::CheckFile},
      {.name = "cli", .keys = SettingNames(), .check = CheckSettingsFile},
  };
  for (const std::string& service : cli_dev::ServiceNames()) {
    readers.push_back({.name = service, .keys = cli_dev::TopKeys(service), .check = [service](const std::string& file) {
                         return cli_dev::CheckServiceFile(service, file);
                       }});
  }
  return readers;
}

// The first word of each line that is not indented.
std::vector<std::string> WordsAtTheTop(const std::string& text) {
  std::vector<std::string> words;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    const size_t length = std::min(line.find_first_of(":. #"), line.size());
    if (length > 0 && length < line.size()) words.push_back(line.substr(0, length));
    begin = end + 1;
  }
  return words;
}

// Whose settings most of the file's words are, so that a mistake in one of them is told by the right reader.
const Reader& Guess(const std::vector<Reader>& readers, const std::vector<std::string>& words) {
  const auto known = [&](const Reader& reader) {
    return std::count_if(words.begin(), words.end(), [&](const std::string& word) {
      return std::find(reader.keys.begin(), reader.keys.end(), word) != reader.keys.end();
    });
  };
  const auto near = [&](const Reader& reader) {
    return std::count_if(words.begin(), words.end(),
                         [&](const std::string& word) { return !base::NearestName(word, reader.keys).empty(); });
  };
  return *std::max_element(readers.begin(), readers.end(), [&](const Reader& a, const Reader& b) {
    return std::pair(known(a), near(a)) < std::pair(known(b), near(b));
  });
}

absl::StatusOr<const Reader*> ReaderFor(const std::vector<Reader>& readers, const Arguments& given,
                                        const std::string& file) {
  if (!given.Has("--as")) {
    const absl::StatusOr<std::string> text = base::ReadFile(file, config::kMaxFileBytes);
    if (!text.ok()) return LocalFileError(text.status());
    return &Guess(readers, WordsAtTheTop(*text));
  }
  const std::string name = given.Text("--as");
  const auto found = std::find_if(readers.begin(), readers.end(), [&](const Reader& r) { return r.name == name; });
  if (found != readers.end()) return &*found;
  std::vector<std::string> names;
  for (const Reader& reader : readers) names.push_back(reader.name);
  return base::InvalidArgument("BAD_VALUE", "--as '{}' is none of {}", name, fmt::join(names, ", "));
}

absl::Status Check(Context& context, const Arguments& given) {
  const std::vector<Reader> readers = Readers();
  const std::string& file = given.operands.front();
  LARDER_ASSIGN_OR_RETURN(const Reader* reader, ReaderFor(readers, given, file));
  LARDER_RETURN_IF_ERROR(reader->check(file));
  context.out.Line(fmt::format("{}: ok, settings of {}", file, reader->name));
  return absl::OkStatus();
}

absl::Status Show(Context& context, const Arguments&) {
  context.out.Text(context.json() ? config::RenderJson(context.effective) : config::RenderYaml(context.effective));
  return absl::OkStatus();
}

}  // namespace

Verb ConfigShowVerb() {
  return {
      .name = "config show",
      .summary = "Print the settings of larder itself, each with where it comes from",
      .example = "larder config show",
      .run = Show,
  };
}

Verb ConfigCheckVerb() {
  std::vector<std::string> names;
  for (const Reader& reader : Readers()) names.push_back(reader.name);
  return {
      .name = "config check",
      .operands = "FILE",
      .min_operands = 1,
      .max_operands = 1,
      .summary = "Check a file of settings: of a service, of larder dev, of larder itself",
      .example = "larder config check agent.yaml",
      .flags = {{.name = "--as",
                 .value = "NAME",
                 .help = fmt::format("whose settings: {} (default: as its keys say)", fmt::join(names, ", ")),
                 .choices = names}},
      .complete = Complete::kFile,
      .run = Check,
  };
}

}  // namespace larder::cli
