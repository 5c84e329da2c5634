#include <iostream>
#include <morsel/ext/all.hpp>
#include <morsel/morsel.hpp>

int main(int, char** argv) {
  morsel::enable_all();
  const double sum = morsel::sum(morsel::open<double>(std::string(argv[1]) + "/entry/table/value")).item();
  std::cout << sum << "\n";
  return sum == 2.5 ? 0 : 1;
}
