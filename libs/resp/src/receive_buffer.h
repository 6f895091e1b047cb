#pragma once
#include <cstddef>
#include <memory>
#include <span>

namespace larder::resp {

// What a connection has received and not yet used up. Calls in flight hold the memory that their arguments lie in:
// bytes once lent are never moved or written over, what is behind them goes on in new memory instead. Not thread-safe,
// but what was lent may be dropped by any thread.
class ReceiveBuffer {
 public:
  // Room for bytes to be received, never empty. `expected`: how long the unused bytes will become at least.
  std::span<char> Room(size_t expected);
  void Received(size_t bytes) { end_ += bytes; }
  std::span<char> Unused() { return {memory_.get() + begin_, end_ - begin_}; }
  void Use(size_t bytes) { begin_ += bytes; }
  // Keeps all bytes received so far alive.
  std::shared_ptr<const void> Lend() {
    lent_ = true;
    return memory_;
  }

 private:
  std::shared_ptr<char[]> memory_;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
  bool lent_ = false;
};

}  // namespace larder::resp
