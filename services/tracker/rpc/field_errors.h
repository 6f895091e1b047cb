#pragma once
#include <absl/status/status.h>

#include <string>
#include <string_view>
#include <vector>

namespace larder::tracker {

// The first field of a message that is no value of its kind. Conversions tell it and go on, so that they read like the
// messages; whoever converts asks for status() before the result is used. One thread at a time.
class FieldErrors {
 public:
  // While it lives, fields are those of the message in `field`, or in its element `index`.
  class Inside {
   public:
    Inside(FieldErrors& errors, std::string_view field) : Inside(errors, field, kNoIndex) {}
    Inside(FieldErrors& errors, std::string_view field, int index) : errors_(errors) {
      errors_.path_.push_back({field, index});
    }
    ~Inside() { errors_.path_.pop_back(); }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    FieldErrors& errors_;
  };

  // `why`: "is negative".
  void Bad(std::string_view field, std::string_view why);
  // OK, or INVALID_ARGUMENT (BAD_FIELD): "commands[3].seal.meta.ttl_ms is negative".
  const absl::Status& status() const { return status_; }

 private:
  static constexpr int kNoIndex = -1;
  struct Step {
    std::string_view field;
    int index;
  };

  std::vector<Step> path_;
  absl::Status status_;
};

}  // namespace larder::tracker
