#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace larder::bench {

// A connection to a rival's Unix socket: lines and counted bytes. Its end ends this process.
class Stream {
 public:
  explicit Stream(const std::string& path);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();

  void Send(std::string_view head, const char* bytes = nullptr, uint64_t size = 0, std::string_view tail = {});
  // Without its end of line.
  std::string Line();
  void Bytes(char* out, uint64_t size);

 private:
  void Fill();
  int fd_;
  std::vector<char> buffer_;
  size_t begin_ = 0, end_ = 0;
};

}  // namespace larder::bench
