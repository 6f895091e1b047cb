#pragma once
#include <absl/status/status.h>

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

// Values of metric labels. A label multiplies the series that a scrape carries, so every type here is bounded by the
// program or by the installation, never by what users store: a plain string does not compile.
namespace larder::observe {

// What bounds a name that is known only at run time. A new one must be bounded by the installation.
enum class Bound : uint8_t { kNode, kNamespace, kView, kPipe, kExtension, kVersion };

template <Bound>
struct BoundedName {
  explicit BoundedName(std::string name) : text(std::move(name)) {}
  std::string text;
};
using NodeLabel = BoundedName<Bound::kNode>;
using NamespaceLabel = BoundedName<Bound::kNamespace>;
using ViewLabel = BoundedName<Bound::kView>;
using PipeLabel = BoundedName<Bound::kPipe>;
using ExtensionLabel = BoundedName<Bound::kExtension>;  // a registered backend, transport, peer or policy
using VersionLabel = BoundedName<Bound::kVersion>;

template <Bound B>
std::string_view LabelText(const BoundedName<B>& name) {
  return name.text;
}

// A word known at compile time.
struct Word {
  template <size_t N>
  consteval Word(const char (&literal)[N]) : text(literal, N - 1) {}
  std::string_view text;
};
inline std::string_view LabelText(Word word) { return word.text; }

// The code's name in the error table, "NOT_FOUND".
std::string_view LabelText(absl::StatusCode code);

// What a label's value may be: one of the above, or an enum with a LabelText(Enum) beside it that returns constants.
template <typename T>
concept Label = (std::is_enum_v<T> || std::same_as<T, Word> || requires(const T& v) {
                  []<Bound B>(const BoundedName<B>&) {}(v);
                }) && requires(const T& v) {
  { LabelText(v) } -> std::convertible_to<std::string_view>;
};

}  // namespace larder::observe
