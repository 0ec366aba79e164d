module github.com/pilotregistry/pilotregistry

go 1.26
