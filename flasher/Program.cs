Console.Error.WriteLine("flasher: no command yet");
return 2;
