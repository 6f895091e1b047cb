#pragma once
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "src/wire.h"

// The payloads of golden records between bytes and the JSON that docs/formats/golden/uds has of their fields, by the
// code that the agent and its clients use.
namespace larder::transport::uds {

using Json = nlohmann::json;

// "HELLO", or nothing for a number that is no operation. A new one has its case here, or does not compile.
std::optional<std::string_view> OpName(Op op);

// A payload of `kind` ("request", "reply", "refusal" or "notice") as the fields say.
std::vector<std::byte> EncodeFields(std::string_view kind, Op op, const Json& record);
// The fields that a payload says, or BAD_RECORD. `code`: the header's.
absl::StatusOr<Json> DecodeFields(std::string_view kind, Op op, uint32_t code, base::ByteSpan payload);

std::vector<std::byte> FromHex(std::string_view hex);
std::string ToHex(base::ByteSpan bytes);

}  // namespace larder::transport::uds
