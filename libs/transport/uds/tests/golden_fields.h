#pragma once
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "larder/base/digest.h"
#include "src/messages.h"

// The parts of golden records' fields: values, and the JSON that stands for them.
namespace larder::transport::uds {

using Json = nlohmann::json;

Json DigestJson(const base::Digest& digest);
base::Digest DigestOf(const Json& json);
Json TtlJson(const std::optional<base::Duration>& ttl);
std::optional<base::Duration> TtlOf(const Json& json);
Json CreationJson(const Creation& creation);
Creation CreationOf(const Json& json);
Json ObjectJson(const object::ObjectInfo& info);
object::ObjectInfo ObjectOf(const Json& json);
Json SealedJson(const object::SealResult& result);
object::SealResult SealedOf(const Json& json);
Json ExtentsJson(const ExtentList& list);
ExtentList ExtentsOf(const Json& json);
CreationLease CreationLeaseOf(const Json& json);
Json CreationLeaseJson(const CreationLease& creation);
Json Merged(Json one, const Json& other);
std::vector<object::LeaseId> LeasesOf(const Json& json);
Json LeasesJson(const std::vector<object::LeaseId>& leases);

std::vector<std::byte> FromHex(std::string_view hex);
std::string ToHex(base::ByteSpan bytes);

}  // namespace larder::transport::uds
