#pragma once
#include <optional>
#include <string>
#include <vector>

#include "larder/base/unique_fd.h"
#include "src/frames.h"

namespace larder::swarm {

// A connection to a server that says what a test tells it to. Calls wait for what they ask for.
class RawChild {
 public:
  explicit RawChild(const std::string& address);

  void Say(std::string_view bytes) const;
  struct Frame {
    FrameHeader header;
    std::string payload;
  };
  // The next frame; none if the server has closed.
  std::optional<Frame> Next();
  // What ERROR says, after frames that are none; none if the server has closed without a word.
  std::optional<absl::Status> NextError();

 private:
  bool Fill(size_t size);
  base::UniqueFd fd_;
  std::string in_;
};

}  // namespace larder::swarm
