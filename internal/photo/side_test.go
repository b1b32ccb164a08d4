package photo

import (
	"image"
	"image/png"
	"testing"

	"github.com/gatecast/gatecast"
)

// Scaling takes memory for each row of a photo, however short the row is.
func TestAPhotoOfOneLongColumnIsRefused(t *testing.T) {
	s := openStore(t, Options{})
	column := encoded(t, png.Encode, image.NewGray(image.Rect(0, 0, 1, mostSide+1)))
	if _, err := s.Keep("signAvatar", column); gatecast.CodeOf(err) != gatecast.Invalid {
		t.Errorf("%v", err)
	}
}
