#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

namespace larder::object {

// What may be allowed to do with the objects of a namespace.
enum class Verb : uint8_t {
  kGet,  // read, and look at
  kPut,  // create and replace
  kDelete,
  kList,
  kPin,
};
inline constexpr std::array<Verb, 5> kVerbs = {Verb::kGet, Verb::kPut, Verb::kDelete, Verb::kList, Verb::kPin};

// "get", "put", "delete", "list", "pin".
std::string_view VerbName(Verb verb);
std::optional<Verb> VerbOfName(std::string_view name);

// A set of verbs. Pure.
class Rights {
 public:
  constexpr Rights() = default;
  constexpr Rights(std::initializer_list<Verb> verbs) {
    for (const Verb verb : verbs) Add(verb);
  }
  static constexpr Rights All() { return {Verb::kGet, Verb::kPut, Verb::kDelete, Verb::kList, Verb::kPin}; }

  constexpr void Add(Verb verb) { bits_ = static_cast<uint8_t>(bits_ | Bit(verb)); }
  constexpr bool Has(Verb verb) const { return (bits_ & Bit(verb)) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr bool Contains(Rights others) const { return (others.bits_ & ~bits_) == 0; }
  constexpr Rights operator|(Rights others) const { return Rights(static_cast<uint8_t>(bits_ | others.bits_)); }
  constexpr Rights operator&(Rights others) const { return Rights(static_cast<uint8_t>(bits_ & others.bits_)); }
  constexpr bool operator==(const Rights&) const = default;

 private:
  constexpr explicit Rights(uint8_t bits) : bits_(bits) {}
  static constexpr uint8_t Bit(Verb verb) { return static_cast<uint8_t>(1U << static_cast<unsigned>(verb)); }

  uint8_t bits_ = 0;
};

}  // namespace larder::object
