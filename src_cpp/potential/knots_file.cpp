#include "knots_file.h"

#include "../kernels/spline.h"

#include <cmath>
#include <istream>
#include <limits>
#include <ostream>
#include <set>
#include <sstream>

namespace diffsim {

namespace {

constexpr const char *MAGIC = "diffsim-knots";
constexpr int VERSION = 1;

// The lines of a file that are neither empty nor comments, and where we are for error messages.
class Lines {
 public:
  Lines(std::istream &in, const std::string &path) : in_(in), path_(path) {}

  std::istringstream next(const std::string &expected)
  {
    expected_ = expected;
    while (std::getline(in_, line_)) {
      number_++;
      const size_t first = line_.find_first_not_of(" \t\r");
      if (first != std::string::npos && line_[first] != '#') return std::istringstream(line_);
    }
    line_ = "the end of the file";
    fail();
  }

  [[noreturn]] void fail() const
  {
    std::ostringstream out;
    out << "The knots file " << path_ << ", line " << number_ << ": expected " << expected_
        << ", found '" << quotable(line_) << "'. Write the file again with 'diffsim export'.";
    throw PotentialError(out.str());
  }

 private:
  std::istream &in_;
  const std::string &path_;
  std::string line_;
  std::string expected_;
  int number_ = 0;
};

// Nothing but white space is left.
bool ends(std::istringstream &line)
{
  return (line >> std::ws).eof();
}

template <class Value>
Value read_keyword(Lines &lines, const std::string &keyword,
                   const std::string &value_is = "its value")
{
  auto line = lines.next("'" + keyword + "' and " + value_is);
  std::string word;
  Value value;
  if (!(line >> word >> value) || word != keyword || !ends(line)) lines.fail();
  return value;
}

std::vector<std::string> read_species(Lines &lines)
{
  auto line = lines.next("'species' and at least one name, all different and of at most " +
                         std::to_string(LONGEST_NAME) + " characters");
  std::string word;
  line >> word;
  if (word != "species") lines.fail();
  std::vector<std::string> species;
  std::set<std::string> names;
  while (line >> word) {
    if (word.size() > LONGEST_NAME || !names.insert(word).second) lines.fail();
    species.push_back(word);
  }
  if (species.empty()) lines.fail();
  return species;
}

// false for NaN
bool is_between(double value, double least, double most)
{
  return value >= least && value <= most;
}

}    // namespace

Knots read_knots(std::istream &in, const std::string &path)
{
  Lines lines(in, path);
  Knots knots;
  if (read_keyword<int>(lines, MAGIC) != VERSION) lines.fail();
  knots.units = read_keyword<std::string>(lines, "units");
  knots.cutoff = read_keyword<double>(lines, "cutoff", CUTOFF_IS);
  if (!is_between(knots.cutoff, SHORTEST_CUTOFF, LONGEST_CUTOFF)) lines.fail();
  knots.knots = read_keyword<int>(lines, "knots",
                                  "their number, from " + std::to_string(MIN_KNOTS) + " to " +
                                      std::to_string(MAX_KNOTS));
  if (knots.knots < MIN_KNOTS || knots.knots > MAX_KNOTS) lines.fail();
  knots.species = read_species(lines);

  const int n = static_cast<int>(knots.species.size());
  for (int a = 0; a < n; a++)
    for (int b = a; b < n; b++) {
      auto header = lines.next("'pair " + knots.species[a] + " " + knots.species[b] +
                               " inner <r> outer <r>' with 0 < inner < outer <= cutoff");
      std::string pair, first, second, inner_word, outer_word;
      double inner = 0.0, outer = 0.0;
      if (!(header >> pair >> first >> second >> inner_word >> inner >> outer_word >> outer) ||
          !ends(header) || pair != "pair" || first != knots.species[a] ||
          second != knots.species[b] || inner_word != "inner" || outer_word != "outer" ||
          !(inner > 0.0) || !(outer >= SHORTEST_CUTOFF) || !(inner * inner < outer * outer) ||
          !(outer <= knots.cutoff))
        lines.fail();
      knots.inner.push_back(inner);
      knots.outer.push_back(outer);
      const double s_inner = inner * inner, s_outer = outer * outer;
      for (int k = 0; k < knots.knots; k++) {
        auto line = lines.next("a distance on the grid and a finite energy");
        double r, u;
        const double s = s_inner + k * (s_outer - s_inner) / (knots.knots - 1);
        if (!(line >> r >> u) || !ends(line) || !(std::fabs(u) < LARGEST_ENERGY) ||
            !(std::fabs(r * r - s) <= 1e-9 * s_outer))
          lines.fail();
        knots.values.push_back(u);
      }
    }
  return knots;
}

void write_knots(std::ostream &out, const Knots &knots)
{
  out.precision(std::numeric_limits<double>::max_digits10);
  out << MAGIC << ' ' << VERSION << "\nunits " << knots.units << "\ncutoff " << knots.cutoff
      << "\nknots " << knots.knots << "\nspecies";
  for (const auto &name : knots.species) out << ' ' << name;
  out << '\n';
  const int n = static_cast<int>(knots.species.size());
  for (int a = 0, pair = 0; a < n; a++)
    for (int b = a; b < n; b++, pair++) {
      const double inner = knots.inner[pair], outer = knots.outer[pair];
      const double s_inner = inner * inner, s_outer = outer * outer;
      out << "pair " << knots.species[a] << ' ' << knots.species[b] << " inner " << inner
          << " outer " << outer << '\n';
      for (int k = 0; k < knots.knots; k++)
        out << std::sqrt(s_inner + k * (s_outer - s_inner) / (knots.knots - 1)) << ' '
            << knots.pair_values(pair)[k] << '\n';
    }
}

}    // namespace diffsim
