#pragma once
#include <absl/status/status.h>

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/context.h"

namespace larder::cli {

// Runs `call` for every operand, a key. One that fails is reported, the others go on. With -o json, prints an array of
// {"namespace","key"} and what `extra` adds (null: nothing), else, with -q, the keys that it was done for.
absl::Status ForEachKey(Context& context, const Arguments& given, const std::string& verb,
                        const std::function<absl::Status(client::Client&, const std::string& key)>& call,
                        const std::function<void(nlohmann::ordered_json&)>& extra);

}  // namespace larder::cli
