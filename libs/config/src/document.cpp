#include "src/document.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "larder/base/file.h"
#include "larder/base/status.h"
#include "larder/config/resolve.h"
#include "src/text.h"

namespace larder::config {
namespace {

// Together with kMaxFileBytes these bound memory: paths repeat their parents' names.
constexpr size_t kMaxEntries = 10000;
constexpr size_t kMaxPath = 512;
constexpr size_t kMaxDepth = 16;

bool IsKeyCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

// Carries an error out of yaml-cpp's parser, which can be left by an exception only. Caught in ParseDocument.
struct Refusal {
  absl::Status status;
};

// Turns yaml-cpp's events into entries. Events, not nodes, since nodes merge duplicate keys and expand aliases.
class Flattener final : public YAML::EventHandler {
 public:
  explicit Flattener(std::string_view name) : name_(name) {}

  std::vector<Entry> Take() && { return std::move(entries_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (std::exchange(started_, true)) Refuse(Line(mark), "a second document is not read");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    RefuseAnchor(mark, anchor);
    if (frames_.empty()) return;  // an empty file
    // A null has the mark of what follows it.
    if (frames_.back().sequence) Refuse(frames_.back().line, "{}: an item is empty", frames_.back().path);
    if (!frames_.back().key) Refuse(Line(mark), "a key is empty");
    AddEntry(TakeKey(), Entry::Kind::kEmpty);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { Refuse(Line(mark), "aliases are not read"); }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    RefuseAnchor(mark, anchor);
    RefuseTag(mark, tag);
    if (frames_.empty()) Refuse(Line(mark), "the file is not a mapping of settings");
    Frame& frame = frames_.back();
    if (frame.sequence) {
      if (frame.mappings > 0) Refuse(Line(mark), "{}: values and mappings in one list", frame.path);
      Count(mark);
      frame.items.push_back(value);
    } else if (!frame.key) {
      BeginKey(mark, value);
    } else {
      AddEntry(TakeKey(), Entry::Kind::kScalar).text = value;
    }
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    RefuseAnchor(mark, anchor);
    RefuseTag(mark, tag);
    if (frames_.empty()) Refuse(Line(mark), "the file is not a mapping of settings");
    if (frames_.back().sequence) Refuse(Line(mark), "{}: a list in a list", frames_.back().path);
    if (!frames_.back().key) Refuse(Line(mark), "a key is a list");
    const Key key = TakeKey();
    Push(mark, {.path = key.path, .line = key.line, .sequence = true});
  }

  void OnSequenceEnd() override {
    Frame frame = Pop();
    if (frame.mappings == 0) AddEntry({frame.path, frame.line}, Entry::Kind::kList).items = std::move(frame.items);
  }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    RefuseAnchor(mark, anchor);
    RefuseTag(mark, tag);
    if (frames_.empty()) return Push(mark, {.line = Line(mark)});
    Frame& parent = frames_.back();
    if (parent.sequence) {
      if (!parent.items.empty()) Refuse(Line(mark), "{}: values and mappings in one list", parent.path);
      Count(mark);
      return Push(mark, {.path = fmt::format("{}[{}]", parent.path, parent.mappings++), .line = Line(mark)});
    }
    if (!parent.key) Refuse(Line(mark), "a key is a mapping");
    const Key key = TakeKey();
    Push(mark, {.path = key.path, .line = key.line});
  }

  void OnMapEnd() override {
    const Frame frame = Pop();
    if (!frame.path.empty() && frame.keys == 0) AddEntry({frame.path, frame.line}, Entry::Kind::kEmpty);
  }

 private:
  struct Key {
    std::string path;
    int line = 0;
  };
  struct Frame {
    std::string path;
    int line = 0;
    bool sequence = false;
    bool key = false;  // a mapping's key was read, its value not yet: the key is key_
    size_t keys = 0;
    size_t mappings = 0;
    std::vector<std::string> items;
  };

  static int Line(const YAML::Mark& mark) { return mark.line + 1; }

  template <typename... Args>
  [[noreturn]] void Refuse(int line, fmt::format_string<Args...> format, Args&&... args) {
    throw Refusal{
        base::InvalidArgument("BAD_YAML", "{}:{}: {}", name_, line, fmt::format(format, std::forward<Args>(args)...))};
  }
  void RefuseAnchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) Refuse(Line(mark), "anchors are not read");
  }
  // "?" and "!" are how the parser marks a plain and a quoted scalar without a tag.
  void RefuseTag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") Refuse(Line(mark), "tags are not read");
  }
  void Count(const YAML::Mark& mark) {
    if (++count_ <= kMaxEntries) return;
    throw Refusal{base::InvalidArgument("CONFIG_TOO_LARGE", "{}:{}: more than {} keys and list items", name_,
                                        Line(mark), kMaxEntries)};
  }

  void BeginKey(const YAML::Mark& mark, const std::string& word) {
    if (word.empty() || !std::all_of(word.begin(), word.end(), IsKeyCharacter)) {
      Refuse(Line(mark), "{} is not a key: letters, digits, `_`, `-` and dots", Quoted(word));
    }
    Count(mark);
    Frame& frame = frames_.back();
    std::string path = frame.path.empty() ? word : frame.path + "." + word;
    if (path.size() > kMaxPath) Refuse(Line(mark), "{}: the key is too long", Quoted(path));
    const int line = Line(mark);
    const auto [first, added] = lines_.emplace(path, line);
    if (!added) {
      throw Refusal{base::InvalidArgument("DUPLICATE_KEY", "{}:{}: {}: given twice, first in line {}", name_, line,
                                          path, first->second)};
    }
    frame.key = true;
    ++frame.keys;
    key_ = {std::move(path), line};
  }
  Key TakeKey() {
    frames_.back().key = false;
    return std::move(key_);
  }
  void Push(const YAML::Mark& mark, Frame frame) {
    if (frames_.size() == kMaxDepth) Refuse(Line(mark), "nested more than {} deep", kMaxDepth);
    frames_.push_back(std::move(frame));
  }
  Frame Pop() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    return frame;
  }
  Entry& AddEntry(Key key, Entry::Kind kind) {
    return entries_.emplace_back(Entry{.path = std::move(key.path), .line = key.line, .kind = kind});
  }

  const std::string name_;
  bool started_ = false;
  size_t count_ = 0;
  Key key_;  // of the innermost mapping, between its key and its value
  std::vector<Frame> frames_;
  std::unordered_map<std::string, int> lines_;  // every key's first line
  std::vector<Entry> entries_;
};

int LineOf(std::string_view text, size_t at) {
  return 1 + static_cast<int>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
}

}  // namespace

absl::StatusOr<std::vector<Entry>> ParseDocument(std::string_view text, std::string_view name) {
  if (text.size() > kMaxFileBytes) {
    return base::InvalidArgument("CONFIG_TOO_LARGE", "{}: larger than {} bytes", name, kMaxFileBytes);
  }
  if (size_t at = 0; !IsText(text, &at)) {
    return base::InvalidArgument("BAD_YAML", "{}:{}: not UTF-8 text, or a control character", name, LineOf(text, at));
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Flattener flattener(name);
    while (parser.HandleNextDocument(flattener)) {
    }
    return std::move(flattener).Take();
  } catch (const Refusal& refusal) {
    return refusal.status;
  } catch (const YAML::Exception& error) {
    return base::InvalidArgument("BAD_YAML", "{}:{}: {}", name, error.mark.line + 1, error.msg);
  } catch (const std::exception& error) {
    return base::InvalidArgument("BAD_YAML", "{}: {}", name, error.what());
  }
}

absl::StatusOr<std::vector<Entry>> ReadDocument(const std::string& file, bool may_be_absent) {
  const absl::StatusOr<std::string> text = base::ReadFile(file, kMaxFileBytes);
  if (text.ok()) return ParseDocument(*text, file);
  if (may_be_absent && absl::IsNotFound(text.status())) return std::vector<Entry>();
  if (absl::IsResourceExhausted(text.status())) {
    return base::InvalidArgument("CONFIG_TOO_LARGE", "{}: larger than {} bytes", file, kMaxFileBytes);
  }
  // Whatever the file system said, what the caller gave is at fault: a program exits with "bad input".
  return base::InvalidArgument("CONFIG_UNREADABLE", "{}", base::Message(text.status()));
}

}  // namespace larder::config
