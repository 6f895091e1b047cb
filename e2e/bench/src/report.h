#pragma once
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "src/measure.h"

namespace larder::bench {

// The table on stdout and the JSON file.
class Report {
 public:
  // `id` is a row of e2e/bench/rows.yaml. A row is noisy if its timing or one of its rivals' is.
  void Add(std::string id, std::string text, Timing timing, std::map<std::string, Timing> rivals);
  // What is no time.
  void AddAmount(std::string id, std::string text, Amount amount, std::map<std::string, Amount> rivals);
  void Print() const;
  // RESULT: false if the file could not be written.
  bool WriteJson(const std::string& path) const;

 private:
  struct Row {
    std::string id;
    std::string text;
    std::variant<Timing, Amount> figure;
    std::map<std::string, std::variant<Timing, Amount>> rivals;
  };
  std::vector<Row> rows_;
};

}  // namespace larder::bench
