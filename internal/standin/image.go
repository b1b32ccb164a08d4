package standin

import (
	"bytes"
	"hash/fnv"
	"image"
	"image/color"
	"image/jpeg"

	"github.com/gatecast/gatecast"
)

// image answers with a photo that an event names: 1 those that are registered,
// 2 those that were taken. It is a square of one colour, which follows from the ID.
func (s *Server) image(q question) (reply, error) {
	kind, id := q.request.PathValue("type"), q.request.PathValue("id")
	fields := map[string][]string{
		"1": {"avatar", "originAvatar"},
		"2": {"signAvatar", "signBgAvatar", "alarmPhoto", "docPhoto"},
	}[kind]
	if fields == nil {
		return reply{}, gatecast.Errorf(gatecast.Invalid, "type is neither 1 nor 2")
	}
	var named [][]byte
	for _, field := range fields {
		named = append(named, object{{field, quoted(id)}}.bytes())
	}
	found, _ := s.find(func(e *Event) bool {
		for _, n := range named {
			if bytes.Contains(e.Data, n[1:len(n)-1]) {
				return true
			}
		}
		return false
	})
	if len(found) == 0 {
		return reply{}, gatecast.Errorf(gatecast.NotFound, "image not exist")
	}
	return reply{"image/jpeg", picture(id)}, nil
}

// side is that of a picture, in pixels.
const side = 64

func picture(id string) []byte {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails (package hash)
	sum := h.Sum32()
	c := color.RGBA{uint8(sum), uint8(sum >> 8), uint8(sum >> 16), 0xff}
	img := image.NewRGBA(image.Rect(0, 0, side, side))
	for i := range side * side {
		img.SetRGBA(i%side, i/side, c)
	}
	var b bytes.Buffer
	_ = jpeg.Encode(&b, img, nil) // writing to memory does not fail
	return b.Bytes()
}
