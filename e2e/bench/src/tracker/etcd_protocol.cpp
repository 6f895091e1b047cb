#include <algorithm>

#include "src/must.h"
#include "src/tracker/protocol.h"

namespace larder::bench {
namespace {

// RFC 9113.
constexpr size_t kFrameHeader = 9;
constexpr uint8_t kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kGoAway = 7, kWindowUpdate = 8;
constexpr uint8_t kEndStream = 1, kAck = 1, kEndHeaders = 4;
constexpr uint32_t kFirstWindow = 65535, kLargestWindow = 0x7fffffff;

void AppendU32(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
}

uint32_t U32(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

void AppendFrame(std::string& out, uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  const auto size = static_cast<uint32_t>(payload.size());
  AppendU32(out, size << 8 | type);
  out += static_cast<char>(flags);
  AppendU32(out, stream);
  out += payload;
}

// A header that enters the connection's table (RFC 7541): `name` is an index of the static table, or a text.
std::string Indexed(uint8_t name, std::string_view value) {
  std::string out(1, static_cast<char>(0x40 | name));
  out += static_cast<char>(value.size());
  return out.append(value);
}
std::string Indexed(std::string_view name, std::string_view value) {
  std::string out("\x40", 1);
  out += static_cast<char>(name.size());
  out.append(name) += static_cast<char>(value.size());
  return out.append(value);
}

// A field of bytes of a protobuf message.
void AppendField(std::string& out, uint8_t number, std::string_view bytes) {
  out += static_cast<char>(number << 3 | 2);
  size_t size = bytes.size();
  for (; size >= 0x80; size >>= 7) out += static_cast<char>(size | 0x80);
  out += static_cast<char>(size);
  out += bytes;
}

class Etcd final : public Protocol {
 public:
  Etcd(Verb verb, std::string_view value) : verb_(verb), value_(value) {}

  void Greet(std::string& out) override {
    out += "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    AppendFrame(out, kSettings, 0, 0, {});
    std::string window;
    AppendU32(window, kLargestWindow - kFirstWindow);  // what a run reads is less
    AppendFrame(out, kWindowUpdate, 0, 0, window);
  }

  uint32_t Request(std::string_view key, std::string& out) override {
    constexpr uint8_t kAuthority = 1, kPath = 4, kContentType = 31;
    // :method POST and :scheme http of the static table; then, the last of them first, the four that have entered.
    constexpr std::string_view kAgain = "\x83\x86\xc1\xc0\xbf\xbe";
    std::string headers(kAgain);
    if (next_ == 1) {
      headers = std::string(kAgain.substr(0, 2)) +
                Indexed(kPath, verb_ == Verb::kSet ? "/etcdserverpb.KV/Put" : "/etcdserverpb.KV/Range") +
                Indexed(kAuthority, "etcd") + Indexed(kContentType, "application/grpc") + Indexed("te", "trailers");
    }
    std::string message;
    AppendField(message, 1, key);
    if (verb_ == Verb::kSet) AppendField(message, 2, value_);
    std::string data(1, '\0');  // not compressed
    AppendU32(data, static_cast<uint32_t>(message.size()));
    data += message;
    const uint32_t stream = next_;
    next_ += 2;
    AppendFrame(out, kHeaders, kEndHeaders, stream, headers);
    AppendFrame(out, kData, kEndStream, stream, data);
    return stream;
  }

  size_t Take(std::string_view in, std::string& out, std::vector<Answer>& answers) override {
    size_t done = 0;
    while (in.size() - done >= kFrameHeader) {
      const std::string_view frame = in.substr(done);
      const size_t size = U32(frame) >> 8;
      if (frame.size() < kFrameHeader + size) break;
      TakeFrame(frame.substr(0, kFrameHeader), frame.substr(kFrameHeader, size), out, answers);
      done += kFrameHeader + size;
    }
    return done;
  }

 private:
  void TakeFrame(std::string_view header, std::string_view payload, std::string& out, std::vector<Answer>& answers) {
    const auto type = static_cast<uint8_t>(header[3]), flags = static_cast<uint8_t>(header[4]);
    const uint32_t stream = U32(header.substr(5));
    switch (type) {
      case kData:
        // A range that has found nothing is shorter than what was set.
        if (verb_ == Verb::kSet || payload.size() > value_.size()) answered_.push_back(stream);
        break;
      case kHeaders:
        // A call that failed ends without a message.
        if (flags & kEndStream) answers.push_back({.request = stream, .ok = std::erase(answered_, stream) > 0});
        break;
      case kSettings:
        if (!(flags & kAck)) AppendFrame(out, kSettings, kAck, 0, {});
        break;
      case kPing:
        if (!(flags & kAck)) AppendFrame(out, kPing, kAck, 0, payload);
        break;
      case kReset:
      case kGoAway:
        Die("etcd ended a gRPC call or connection");
      default:
        break;
    }
  }

  Verb verb_;
  std::string value_;
  uint32_t next_ = 1;
  std::vector<uint32_t> answered_;  // streams whose message is here, not yet their end
};

}  // namespace

std::unique_ptr<Protocol> SpeakEtcd(Verb verb, std::string_view value) { return std::make_unique<Etcd>(verb, value); }

}  // namespace larder::bench
