#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/change.h"
#include "core/records.h"

// Which node has a copy of what, and since when we know.
namespace larder::tracker {

// A copy and its holder's name.
using Location = std::pair<std::string, LocationRecord>;
std::vector<Location> LocationsOf(Reader& reader, BlobId blob, Epoch epoch);

// All changes of locations go through these two: the holder's inventory follows. `before` is what was stored;
// erasing returns that.
void StoreLocation(Change& change, BlobId blob, Epoch epoch, const Location& location,
                   const std::optional<LocationRecord>& before);
std::optional<LocationRecord> EraseLocation(Change& change, BlobId blob, Epoch epoch, const std::string& node);

// In which node epoch the holder told of the copy for the last time: by its location, or by its inventory. `node` is
// the holder's record.
NodeEpoch ToldIn(Reader& reader, BlobId blob, const Location& location, const std::optional<NodeRecord>& node);
// Told of in the node's current registration, which is not fenced.
bool IsConfirmed(Reader& reader, BlobId blob, const Location& location, const std::optional<NodeRecord>& node);
// Confirmed, and the node is not marked either.
bool IsLive(Reader& reader, BlobId blob, const Location& location, const std::optional<NodeRecord>& node);

}  // namespace larder::tracker
