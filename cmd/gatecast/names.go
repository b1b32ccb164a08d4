package main

import "strconv"

// The vendor's codes in words, for people.

func modeName(mode int) string {
	names := map[int]string{
		1: "face", 2: "QR code", 3: "card", 4: "face and card", 5: "ID card", 6: "face and ID card",
	}
	return nameOr(names, mode, "mode ")
}

func abnormalName(code int) string {
	names := map[int]string{
		10001: "ID card mismatch", 10002: "card mismatch", 10003: "code mismatch",
		20001: "visitor outside validity", 20002: "outside access hours",
		30001: "invalid ID card", 30002: "invalid card", 30003: "invalid QR code",
		40001: "high temperature", 50001: "no mask",
	}
	return nameOr(names, code, "abnormal ")
}

func alarmName(code int) string {
	names := map[int]string{
		10001: "device theft", 10002: "door forced open", 10003: "door left open", 10004: "password cracking",
		10006: "thermal camera fault", 20001: "camera dirty", 20002: "spoofing attempt", 20003: "fire alarm",
		30001: "device offline", 40001: "feature extraction error",
	}
	return nameOr(names, code, "alarm ")
}

func nameOr(names map[int]string, code int, prefix string) string {
	if name, ok := names[code]; ok {
		return name
	}
	return prefix + strconv.Itoa(code)
}
