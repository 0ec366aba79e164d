. data/env
PATH="$PWD/bin:$PATH"
for i in 1 2 3 4 5 6 7; do
  pilotctl --identity "node$i.json" register --hostname "node-$i"
done
pilotctl network create lab --node-id 7
