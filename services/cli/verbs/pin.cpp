#include <nlohmann/json.hpp>

#include "core/each_key.h"
#include "verbs/all.h"

namespace larder::cli {
namespace {

Verb PinningVerb(const std::string& name, bool pinned, std::string summary) {
  return {
      .name = name,
      .operands = "KEY...",
      .min_operands = 1,
      .max_operands = kManyOperands,
      .summary = std::move(summary),
      .example = "larder " + name + " models/m1",
      .run =
          [name, pinned](Context& context, const Arguments& given) {
            return ForEachKey(
                context, given, name,
                [pinned](client::Client& client, const std::string& key) { return client.SetPinned(key, pinned); },
                [pinned](nlohmann::ordered_json& row) { row["pinned"] = pinned; });
          },
  };
}

}  // namespace

Verb PinVerb() { return PinningVerb("pin", true, "Keep objects from being evicted"); }
Verb UnpinVerb() { return PinningVerb("unpin", false, "Let objects be evicted again"); }

}  // namespace larder::cli
