#pragma once
#include <optional>
#include <string>
#include <vector>

#include "larder/base/unique_fd.h"
#include "src/frames.h"

namespace larder::swarm {

// The child of a server, or the parent of a fetch, that says what a test tells it to. Calls wait for what they ask for.
class RawPeer {
 public:
  explicit RawPeer(const std::string& address);
  // The next connection.
  explicit RawPeer(const base::UniqueFd& listener);
  // One that a test has made.
  static RawPeer Of(base::UniqueFd connected);

  void Say(std::string_view bytes) const;
  struct Frame {
    FrameHeader header;
    std::string payload;
  };
  // Ends the connection at once, whatever is on its way.
  void Reset();
  // The next frame; none if the other side has closed.
  std::optional<Frame> Next();
  // What ERROR says, after frames that are none; none if the other side has closed without a word.
  std::optional<absl::Status> NextError();

 private:
  RawPeer() = default;
  bool Fill(size_t size);
  base::UniqueFd fd_;
  std::string in_;
};

}  // namespace larder::swarm
