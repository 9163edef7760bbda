module openvidu-basic-go

go 1.22.0
