#include "rpc/node_room.h"

#include <algorithm>

namespace larder::cache_agent {

uint64_t ByteRate::Next(uint64_t total, base::MonotonicTime now) {
  const std::chrono::duration<double> passed = now - since_.value_or(now);
  if (since_ && passed < std::chrono::seconds(1)) return rate_;
  if (since_) rate_ = static_cast<uint64_t>(static_cast<double>(total - total_) / passed.count());
  since_ = now;
  total_ = total;
  return rate_;
}

NodeRoom RoomOf(const arena::Arena::Usage& memory, const std::optional<AgentStatus::Disk>& disk) {
  NodeRoom room;
  room.capacity.set_memory_bytes(memory.limit - memory.reserved);
  room.load.set_memory_used_bytes(memory.limit - memory.free);
  room.load.set_memory_free_bytes(memory.free - std::min(memory.free, memory.reserved));
  if (!disk) return room;
  uint64_t free = disk->space.free;
  if (disk->limit > 0) free = std::min(free, disk->limit - std::min(disk->limit, disk->used));
  room.capacity.set_disk_bytes(disk->limit > 0 ? disk->limit : disk->used + free);
  room.load.set_disk_used_bytes(disk->used);
  room.load.set_disk_free_bytes(free);
  return room;
}

}  // namespace larder::cache_agent
